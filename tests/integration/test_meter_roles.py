"""Every role logs in and tries every kind of statement on every table and view: what it may do, and nothing else."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import ROLES, create_roles
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from schemas.records import Remark, Remarked
from schemas.topics import USAGE
from tests.contract.rows import opened, plan, rejected, rerouted, usage

KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
READ_BY_PROJECTIONS = {"events", "shards", "batches", "event_types", "resources", "event_log"}
APPENDED_BY_METER = {"events", "batches", "duplicates", "rejections", "gaps", "rerouted", "remarks", "topics"}
CHANGED_BY_METER = {"shards": {"UPDATE"}, "outbox": {"INSERT", "DELETE"}, "outbox_shards": {"UPDATE"}}
SEEN_BY_READER = {"balances", "usage_by_day", "accounts", "exhausted"}
LOG = ("events", "batches", "duplicates", "rejections", "replays", "gaps", "rerouted", "remarks")


def allowed(role: str, schema: str, name: str) -> set[str]:
    """What the design gives each role."""
    match role, schema:
        case "meter", "meter":
            insert = {"INSERT"} if name in APPENDED_BY_METER else set()
            return {"SELECT"} | insert | CHANGED_BY_METER.get(name, set())
        case "projections", "meter":
            return {"SELECT"} if name in READ_BY_PROJECTIONS else set()
        case "projections", "projections":
            return set(KINDS)
        case "notifier", "notifier":
            return {"SELECT", "INSERT", "UPDATE", "DELETE"}
        case "support", "meter" | "projections" | "notifier":
            return {"SELECT"} | ({"INSERT"} if (schema, name) == ("meter", "replays") else set())
        case "reader", "projections":
            return {"SELECT"} if name in SEEN_BY_READER else set()
    return set()


class Relation(tuple[str, str, str, str]):
    """schema, name, kind (r table, v view), a column that may be set to its default."""

    @property
    def full_name(self) -> str:
        return f'"{self[0]}"."{self[1]}"'

    def statements(self) -> Iterator[tuple[str, str]]:
        yield "SELECT", f"SELECT 1 FROM {self.full_name} LIMIT 1"
        yield "INSERT", f"INSERT INTO {self.full_name} DEFAULT VALUES"
        yield "UPDATE", f"UPDATE {self.full_name} SET {self[3]} = DEFAULT WHERE false"
        yield "DELETE", f"DELETE FROM {self.full_name} WHERE false"
        if self[2] == "r":
            yield "TRUNCATE", f"TRUNCATE {self.full_name}"


@pytest.fixture
async def relations(pool: Pool) -> list[Relation]:
    """All tables and views there are, in whatever schema; something is in the log."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    event = usage(0)
    repeat = usage(1, event_id=event.event_id)
    remarked = Remarked(opened(0), (Remark("display_name", "cannot be read"),))
    batch = plan(event, repeat, rejected(USAGE, 2), rerouted(USAGE, 3), remarked, end=(5, 1))
    await PostgresEventStore(pool).append(batch)
    rows = await pool.fetch(
        "SELECT n.nspname, c.relname, c.relkind::text, (SELECT quote_ident(a.attname) FROM pg_attribute a "
        "  WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attidentity = '' AND a.attgenerated = '' LIMIT 1) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' "
        "ORDER BY 1, 2"
    )
    return [Relation(row) for row in rows]


@asynccontextmanager
async def log_in(stack: Addresses, dsn: str, role: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.dsn(dsn.rpartition("/")[2], f"credit_{role}"))
    try:
        yield connection
    finally:
        await connection.close()


async def is_permitted(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether the statement gets past the permissions; it is undone in any case."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        return "append-only" in str(error)  # refused by the trigger: the grant was there
    except asyncpg.ObjectNotInPrerequisiteStateError:
        return False  # a view of several tables
    except asyncpg.PostgresError:
        return True
    finally:
        await transaction.rollback()
    return True


@pytest.mark.parametrize("role", ROLES)
async def test_every_statement_on_every_table(relations: list[Relation], stack: Addresses, dsn: str, role: str) -> None:
    assert {relation[0] for relation in relations} >= {"meter", "projections", "notifier"}
    wrong = []
    async with log_in(stack, dsn, role) as connection:
        for relation in relations:
            wanted = allowed(role, relation[0], relation[1])
            for kind, statement in relation.statements():
                permitted = await is_permitted(connection, statement)
                is_view_write = relation[2] == "v" and kind != "SELECT"  # allowed or not: views of joins take none
                if permitted != (kind in wanted) and (permitted or not is_view_write):
                    wrong.append(f"{kind} on {relation.full_name} is {'permitted' if permitted else 'refused'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_can_take_the_protection_away(
    relations: list[Relation], stack: Addresses, dsn: str, role: str
) -> None:
    async with log_in(stack, dsn, role) as connection:
        for table in LOG:
            for statement in (
                f"DROP TABLE meter.{table} CASCADE",
                f"ALTER TABLE meter.{table} DISABLE TRIGGER ALL",
                f"ALTER TABLE meter.{table} ADD COLUMN more int",
                f"DROP TRIGGER append_only_rows ON meter.{table}",
                f"CREATE RULE quiet AS ON DELETE TO meter.{table} DO INSTEAD NOTHING",
            ):
                assert not await takes_effect(connection, statement), statement
        for statement in (
            "SET session_replication_role = replica",
            "DROP SCHEMA meter CASCADE",
            "CREATE OR REPLACE FUNCTION meter.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE TABLE meter.more (id int)",
            "SET ROLE postgres",
            "CREATE ROLE credit_more SUPERUSER",
        ):
            assert not await takes_effect(connection, statement), statement


async def takes_effect(connection: asyncpg.Connection, statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    finally:
        await transaction.rollback()
    return True


@pytest.mark.parametrize("table", LOG)
async def test_triggers_refuse_even_the_owner(relations: list[Relation], pool: Pool, table: str) -> None:
    """The tests' pool is the superuser who owns everything."""
    if table == "replays":
        await pool.execute(load_sql("meter", "append_replay"), 1, "tests", usage(0).occurred_at)
    column = "to_offset" if table == "gaps" else "recorded_at"
    column = "replayed_at" if table == "replays" else column
    for statement in (
        f"UPDATE meter.{table} SET {column} = {column}",
        f"DELETE FROM meter.{table}",
        f"TRUNCATE meter.{table} CASCADE",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await pool.execute(statement)
