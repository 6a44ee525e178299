"""Migrations apply from nothing, once, and say the same as the contracts."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from meter.runtime.postgres.migrations import migrate, read_migrations
from schemas.events import INPUT_TYPES
from schemas.resources import RESOURCE_CODES

PACKAGES = ("meter", "projections", "notifier")
# Every table and view of the schemas, with its columns: what one set of migrations makes.
COLUMNS = """
SELECT format('%s.%s.%s %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod))
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'v', 'p', 'm')
ORDER BY 1
"""


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(dsn)
    yield opened
    await opened.close()


@pytest.fixture
async def empty(empty_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(empty_dsn)
    yield opened
    await opened.close()


async def test_each_file_is_applied_once_and_in_order(empty: asyncpg.Connection) -> None:
    expected = [f"{package}/{found.name}" for package in PACKAGES for found in read_migrations(package)]
    assert await migrate(empty, PACKAGES) == expected
    assert await migrate(empty, PACKAGES) == []


async def test_the_template_of_the_tests_is_what_the_files_make(
    empty: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    await migrate(empty, PACKAGES)
    made = [row[0] for row in await empty.fetch(COLUMNS, list(PACKAGES))]
    assert made and made == [row[0] for row in await connection.fetch(COLUMNS, list(PACKAGES))]


async def test_codes_of_event_types_are_those_of_the_contracts(connection: asyncpg.Connection) -> None:
    stored = {row["type"]: row["code"] for row in await connection.fetch("SELECT type, code FROM meter.event_types")}
    assert stored == {name: known.code for name, known in INPUT_TYPES.items()}


async def test_codes_of_resources_are_those_of_the_contracts(connection: asyncpg.Connection) -> None:
    stored = {
        row["resource"]: row["code"] for row in await connection.fetch("SELECT resource, code FROM meter.resources")
    }
    assert stored == {str(name): code for name, code in RESOURCE_CODES.items()}


async def test_each_package_keeps_to_its_own_schema(connection: asyncpg.Connection) -> None:
    """Tables of another package's schema are not made here; what all share lies in public."""
    schemas = {row[0] for row in await connection.fetch("SELECT DISTINCT schemaname FROM pg_tables")}
    assert schemas - {"pg_catalog", "information_schema", "public"} == set(PACKAGES)


async def test_no_table_lacks_a_primary_key(connection: asyncpg.Connection) -> None:
    """Without one, logical replication and distribution by shard are closed. Unlogged tables are for scratch."""
    without = await connection.fetch(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ANY($1) AND c.relkind = 'r' AND c.relpersistence = 'p' "
        "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')",
        list(PACKAGES),
    )
    assert without == []


async def test_nothing_is_checked_at_commit(connection: asyncpg.Connection) -> None:
    """On a cluster its refusal comes in the words of a lost node, and would be repeated without end."""
    deferred = """
        SELECT conname FROM pg_constraint WHERE condeferrable
        UNION ALL
        SELECT tgname FROM pg_trigger WHERE tgdeferrable
        """
    assert await connection.fetch(deferred) == []


async def test_every_moment_is_aware(connection: asyncpg.Connection) -> None:
    naive = [row[0] for row in await connection.fetch(COLUMNS, list(PACKAGES)) if "without time zone" in row[0]]
    assert naive == []


async def test_no_amount_is_a_float(connection: asyncpg.Connection) -> None:
    floats = [
        row[0] for row in await connection.fetch(COLUMNS, list(PACKAGES)) if "real" in row[0] or "double" in row[0]
    ]
    assert floats == []


@pytest.mark.parametrize(
    "verb", ["UPDATE meter.events SET amount = 0", "DELETE FROM meter.events", "TRUNCATE meter.events"]
)
async def test_the_log_refuses_change_even_to_its_owner(connection: asyncpg.Connection, verb: str) -> None:
    await connection.execute(
        "INSERT INTO meter.events VALUES "
        "(1, 5, 0, now(), now(), NULL, 0, 1, 1, 'acct-1', 'm', 's', '{}', NULL, 'id', sha256('id'))"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute(verb)
