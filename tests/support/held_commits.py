"""COMMITs of the meter's batches that wait until they are let go."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from meter.runtime.postgres import Pool

FUNCTION = (
    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$"
)
TRIGGER = (
    "CREATE CONSTRAINT TRIGGER hold_commit AFTER INSERT ON meter.batches DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION wait()"
)


@asynccontextmanager
async def hold_commits(pool: Pool, dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The connection that holds them, until the end of the block. By a trigger, which Citus has not."""
    for statement in (FUNCTION, TRIGGER):
        await pool.execute(statement)
    holder = await asyncpg.connect(dsn)
    try:
        await holder.execute("SELECT pg_advisory_lock(77)")
        yield holder
    finally:
        await holder.close()
