"""The SQL of the guides in deploy, as a superuser pastes it: it changes roles and settings, on a server of its own."""

import asyncpg
import pytest

from deploy.local.stack import PostgresServer
from meter.roles import create_roles
from tests.integration.test_projections_samples import QUERIES_IN
from tests.support.databases import Databases
from tests.support.guides import blocks
from tests.support.waiting import until

# First words of each block.
DASHBOARD, LARGE_OBJECTS, STANDBYS = "GRANT CONNECT", "REVOKE EXECUTE", "ALTER SYSTEM"
OLD_TRANSACTIONS, COLLATION = "SELECT pid, usename", "REINDEX DATABASE"
SQL = [block for block in blocks("sql") if block.file not in QUERIES_IN]
ROLE = "dashboard"  # the guide's name for a role of one's own


def guide(start: str) -> list[str]:
    """The statements of the block, one by one, as psql sends them."""
    [block] = [block for block in SQL if block.first.startswith(start)]
    return [statement for statement in block.text.split(";\n") if statement.strip()]


@pytest.fixture
async def dsn(own_postgres: PostgresServer) -> str:
    """Of the superuser, to a database `metering` as `meter setup` leaves it, and a role that nobody gave anything."""
    template = await Databases(own_postgres.dsn()).create()
    server = await asyncpg.connect(own_postgres.dsn())
    await server.execute(f"CREATE DATABASE metering TEMPLATE {template.rpartition('/')[2]}")
    await server.execute(f"CREATE ROLE {ROLE} LOGIN")
    await server.close()
    made = own_postgres.dsn("metering")
    superuser = await asyncpg.connect(made)
    await create_roles(superuser)
    await superuser.close()
    return made


async def paste(dsn: str, start: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in guide(start):
            await connection.execute(statement)
    finally:
        await connection.close()


async def ask(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def test_each_block_is_run_here() -> None:
    starts = (DASHBOARD, LARGE_OBJECTS, STANDBYS, OLD_TRANSACTIONS, COLLATION)
    assert [block for block in SQL if not block.first.startswith(starts)] == []
    assert len(SQL) == len(starts)


async def test_a_role_of_ones_own_reads_balances(dsn: str, own_postgres: PostgresServer) -> None:
    own = own_postgres.dsn("metering", ROLE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(own, "SELECT 1")
    await paste(dsn, DASHBOARD)
    assert await ask(own, "SELECT count(*) FROM projections.balances") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(own, "SELECT count(*) FROM projections.accounts")


async def test_nobody_fills_the_disk_with_large_objects(dsn: str, own_postgres: PostgresServer) -> None:
    reader = own_postgres.dsn("metering", "credit_reader")
    assert await ask(reader, "SELECT lo_create(0)")
    await paste(dsn, LARGE_OBJECTS)
    for statement in ("SELECT lo_create(0)", "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'x')"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(reader, statement)


async def test_a_standby_that_is_gone_is_waited_for_no_longer(dsn: str) -> None:
    for statement in ("ALTER SYSTEM SET synchronous_standby_names = 'gone'", "SELECT pg_reload_conf()"):
        await ask(dsn, statement)

    await until(lambda: names_are(dsn, "gone"))
    await paste(dsn, STANDBYS)
    await until(lambda: names_are(dsn, ""))


async def test_the_oldest_transaction_comes_first(dsn: str) -> None:
    [statement] = guide(OLD_TRANSACTIONS)
    old = await asyncpg.connect(dsn, server_settings={"application_name": "forgotten"})
    async with old.transaction():
        await old.execute("SELECT 1")
        superuser = await asyncpg.connect(dsn)
        [first, *_] = await superuser.fetch(statement)
        await superuser.close()
    await old.close()
    assert (first["application_name"], first["state"]) == ("forgotten", "idle in transaction")


async def test_a_database_has_the_collation_of_now(dsn: str) -> None:
    await ask(dsn, "UPDATE pg_database SET datcollversion = 'of before' WHERE datname = 'metering'")
    await paste(dsn, COLLATION)
    is_of_now = "datcollversion IS NOT DISTINCT FROM pg_database_collation_actual_version(oid)"
    assert await ask(dsn, f"SELECT {is_of_now} FROM pg_database WHERE datname = 'metering'")


async def names_are(dsn: str, names: str) -> bool:
    return await ask(dsn, "SHOW synchronous_standby_names") == names
