"""What a role may lock, and so hold up: its own service at most. Who has UPDATE, DELETE or TRUNCATE on a table can
lock all of it in any mode and for as long as it likes, and no setting of the server or of ours ends that."""

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import ROLES, create_roles
from meter.runtime.postgres import Pool
from tests.integration.test_meter_roles import log_in

MODES = (
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
HARMLESS = ("ROW SHARE", "ROW EXCLUSIVE")  # of tables: they conflict with no statement of a service
SERVICES = ("meter", "projections", "notifier")
PEOPLE = tuple(role for role in ROLES if role not in SERVICES)
IDLE_S = 60


@pytest.fixture
async def tables(pool: Pool) -> list[str]:
    async with pool.acquire() as connection:
        await create_roles(connection)
    rows = await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname !~ '^pg_|^information_schema$'"
    )
    return [row[0] for row in rows]


async def is_refused(connection: asyncpg.Connection, statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await transaction.rollback()
    return False


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_locks_no_table_but_of_its_own_service(
    tables: list[str], stack: Addresses, dsn: str, role: str
) -> None:
    """credit_pruner could lock meter.rejections, and the meter waited in each batch that had one."""
    wrong = []
    async with log_in(stack, dsn, role) as connection:
        for table in tables:
            for mode in MODES:
                own = role in SERVICES and table.startswith(f"{role}.")
                refused = await is_refused(connection, f"LOCK TABLE {table} IN {mode} MODE")
                if not refused and not own and mode not in HARMLESS:
                    wrong.append(f"{table} in {mode}")
    assert wrong == []


@pytest.mark.parametrize("role", PEOPLE)
async def test_people_lock_no_row_that_a_service_needs(
    tables: list[str], stack: Addresses, dsn: str, role: str
) -> None:
    async with log_in(stack, dsn, role) as connection:
        locked = {table for table in tables if not await is_refused(connection, f"SELECT 1 FROM {table} FOR KEY SHARE")}
    assert locked == ({"meter.pruned"} if role == "pruner" else set())


@pytest.mark.parametrize("role", PEOPLE)
async def test_a_transaction_of_people_that_stands_idle_ends(
    tables: list[str], stack: Addresses, dsn: str, role: str
) -> None:
    """By default: it holds up migrations, and keeps old rows."""
    assert tables
    async with log_in(stack, dsn, role) as connection:
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == f"{IDLE_S // 60}min"
