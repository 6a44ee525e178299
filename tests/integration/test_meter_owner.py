"""`meter setup` with the rights of an owner: what the catalogue says then, and what no role can make of it."""

from typing import Any

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool, load_sql
from tests.integration.acl import BENEATH_VIEWS, read_acl, read_distributed_acl, wanted
from tests.support.meter import set_up_meter

# What a version before gave, and what PUBLIC has in a database that nobody touched.
OLD_GRANTS = (
    "GRANT ALL ON SCHEMA projections TO credit_projections",
    "GRANT ALL ON ALL TABLES IN SCHEMA projections TO credit_projections",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA notifier TO credit_notifier",
    "GRANT UPDATE ON meter.shards TO credit_meter",
    "GRANT SELECT ON meter.batches, meter.event_log TO credit_projections",
    "GRANT UPDATE (position) ON projections.account_states TO credit_projections",
    "GRANT USAGE ON SCHEMA public TO PUBLIC",
)
# What credit_projections planted where the next setup inserts rows: it tries for more rights and notes whose it has.
PLANTED = (
    "CREATE TABLE projections.loot (name text, super boolean)",
    """
    CREATE FUNCTION projections.rise() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RESET ROLE;
        INSERT INTO projections.loot
        SELECT current_user, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user;
        RETURN NEW;
    END
    $$
    """,
    "CREATE TRIGGER rise BEFORE INSERT ON projections.cursors FOR EACH ROW EXECUTE FUNCTION projections.rise()",
)


@pytest.fixture
async def database(dsn: str) -> str:
    return dsn.rpartition("/")[2]


async def compare_acl(dsn: str) -> tuple[list[str], list[str]]:
    """The rights there are, and those that there should be."""
    connection = await asyncpg.connect(dsn)
    try:
        if not await connection.fetchval(load_sql("meter.runtime.postgres", "is_on_citus")):
            return await read_acl(connection), wanted()
        usual, besides = await read_distributed_acl(connection)
        return [*usual, *besides], [*wanted(), *wanted(BENEATH_VIEWS)]
    finally:
        await connection.close()


async def execute_as(stack: Addresses, database: str, role: str, *statements: str) -> None:
    connection = await asyncpg.connect(stack.dsn(database, role))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_setup_gives_the_rights_of_the_table(empty_dsn: str, values: dict[str, Any]) -> None:
    """tests/integration/acl.txt is every right that anybody has in the database."""
    for _ in range(2):
        await set_up_meter(values | {"postgres_dsn": empty_dsn}, roles=True)
        found, all_rights = await compare_acl(empty_dsn)
        assert found == all_rights


async def test_setup_mends_an_installation_of_a_version_before(pool: Pool, dsn: str, values: dict[str, Any]) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
    for statement in OLD_GRANTS:
        await pool.execute(statement)
    await pool.execute(f"GRANT ALL ON DATABASE {dsn.rpartition('/')[2]} TO PUBLIC")
    found, all_rights = await compare_acl(dsn)
    assert found != all_rights
    await set_up_meter(values, roles=True)
    found, all_rights = await compare_acl(dsn)
    assert found == all_rights


@pytest.fixture
async def planted(pool: Pool, stack: Addresses, database: str) -> Pool:
    """An installation of a version before, in which credit_projections prepared the next setup."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    for table in await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'projections'"
    ):
        await pool.execute(f"ALTER TABLE {table[0]} OWNER TO postgres")
    await pool.execute("ALTER SCHEMA projections OWNER TO postgres")
    for statement in OLD_GRANTS:
        await pool.execute(statement)
    await execute_as(stack, database, "credit_projections", *PLANTED)
    return pool


@pytest.mark.not_on_citus("plants a trigger, and Citus takes none")
async def test_what_a_service_planted_is_not_run_by_setup_but_named(planted: Pool, values: dict[str, Any]) -> None:
    """credit_projections became superuser that way."""
    with pytest.raises(RefusalError, match=r"function projections.rise\(\) of credit_projections"):
        await set_up_meter(values, roles=True)
    assert await planted.fetch("SELECT * FROM projections.loot") == []
    assert await planted.fetchval("SELECT count(*) FROM projections.cursors") == 0


@pytest.mark.not_on_citus("plants a trigger, and Citus takes none")
async def test_what_is_planted_cannot_be_planted_again(
    planted: Pool, values: dict[str, Any], stack: Addresses, database: str
) -> None:
    with pytest.raises(RefusalError):
        await set_up_meter(values, roles=True)
    await planted.execute("DROP FUNCTION projections.rise CASCADE; DROP TABLE projections.loot")
    await set_up_meter(values, roles=True)
    for statement in PLANTED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute_as(stack, database, "credit_projections", statement)


async def test_a_large_object_of_a_role_keeps_nobody_from_setting_up(
    pool: Pool, values: dict[str, Any], stack: Addresses, database: str
) -> None:
    """Every role of a server can make these, unless a superuser takes it away."""
    await set_up_meter(values, roles=True)
    await execute_as(
        stack,
        database,
        "credit_reader",
        "SELECT lo_create(0)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    )
    await set_up_meter(values, roles=True)
    await pool.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


async def test_later_setups_need_no_superuser(
    values: dict[str, Any], stack: Addresses, database: str, dsn: str
) -> None:
    await set_up_meter(values, roles=True)
    as_owner = values | {"postgres_dsn": stack.dsn(database, "credit_owner")}
    steps = await set_up_meter(as_owner, roles=True)
    assert "owner: kept: this session is credit_owner's own" in steps
    found, all_rights = await compare_acl(dsn)
    assert found == all_rights
    with pytest.raises(RefusalError, match=r"cannot set passwords.*METERING_SETUP_PASSWORD_READER"):
        await set_up_meter(as_owner | {"setup_password_reader": "secret"}, roles=True)


async def test_a_service_s_role_is_told_who_sets_up(values: dict[str, Any], stack: Addresses, database: str) -> None:
    await set_up_meter(values, roles=True)
    with pytest.raises(RefusalError, match="credit_meter can make no roles: the first `meter setup` needs a superuser"):
        await set_up_meter(values | {"postgres_dsn": stack.dsn(database, "credit_meter")}, roles=True)


async def test_migrations_run_with_no_more_rights_than_the_owner_has(empty_dsn: str, values: dict[str, Any]) -> None:
    await set_up_meter(values | {"postgres_dsn": empty_dsn}, roles=True)
    connection = await asyncpg.connect(empty_dsn)
    try:
        owners = await connection.fetch(
            "SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ('meter', 'projections', 'notifier') OR c.relname = 'metering_migrations'"
        )
        assert [row[0] for row in owners] == ["credit_owner"]
        assert not await connection.fetchval(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'credit_owner'"
        )
    finally:
        await connection.close()


async def test_a_reader_s_statement_ends_by_itself(pool: Pool, stack: Addresses, database: str) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
    reader = await asyncpg.connect(stack.dsn(database, "credit_reader"))
    try:
        assert await reader.fetchval("SHOW statement_timeout") == "10s"
        assert await reader.fetchval("SHOW search_path") == "pg_catalog"
    finally:
        await reader.close()
