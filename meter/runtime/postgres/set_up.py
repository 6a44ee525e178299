"""Whether the database is set up: services and `meter setup` may be started together."""

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.postgres.pool import Pool


async def check_set_up(pool: Pool, statement: str) -> None:
    """Check that `statement` (SQL without parameters, one value) answers true.

    Raises DependencyUnreachableError when it does not: the service then waits, as for a server that is not up yet.
    """
    if not await pool.fetchval(statement):
        raise not_set_up()


def not_set_up() -> DependencyUnreachableError:
    return DependencyUnreachableError("the database is not set up: run `meter setup`", dependency="postgres")
