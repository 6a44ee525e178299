"""Every role logs in and tries every kind of statement on every table and view: what it may do, and nothing else."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import ROLES, create_roles
from meter.runtime.postgres import Pool, is_on_citus, load_sql
from meter.store.events import PostgresEventStore
from schemas.records import Remark, Remarked
from schemas.topics import USAGE
from tests.contract.rows import opened, plan, rejected, rerouted, reversal, usage
from tests.integration.acl import parse, wanted

TABLE_KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES")
LOG = (
    "events",
    "batches",
    "duplicates",
    "rejections",
    "replays",
    "gaps",
    "rerouted",
    "remarks",
    "dismissals",
    "openings",
    "reversals",
    "waiting",
)
WITHOUT_TIME = {
    "gaps": "to_offset",
    "replays": "replayed_at",
    "dismissals": "dismissed_at",
    "openings": "position",
    "reversals": "amount",
}
RIGHTS = parse(wanted())
refused_before = pytest.mark.not_on_citus(
    "Citus refuses such statements before it asks for rights: the catalogue is compared instead (test_meter_owner)"
)


def allowed(role: str, schema: str, name: str) -> set[str]:
    """What the table of rights gives to the role, some columns included."""
    full = f"{schema}.{name}"
    return {
        right
        for given in RIGHTS
        if given.role == f"credit_{role}" and (given.name == full or given.name.rpartition(".")[0] == full)
        for right in given.rights
    }


def columns_of(role: str, schema: str, name: str, right: str) -> list[str]:
    """The columns to which the right is limited."""
    own = [
        given for given in RIGHTS if given.kind == "column" and given.role == f"credit_{role}" and right in given.rights
    ]
    return [given.name.rpartition(".")[2] for given in own if given.name.rpartition(".")[0] == f"{schema}.{name}"]


class Relation(tuple[str, str, str, str]):
    """schema, name, kind (r table, v view), a column that may be set to its default."""

    @property
    def full_name(self) -> str:
        return f'"{self[0]}"."{self[1]}"'

    def statements(self, role: str) -> Iterator[tuple[str, str]]:
        """Of each kind one, which touches what the role has where that is some columns only."""
        changed = columns_of(role, self[0], self[1], "UPDATE") or [self[3]]
        yield "SELECT", f"SELECT 1 FROM {self.full_name} LIMIT 1"
        yield "INSERT", f"INSERT INTO {self.full_name} DEFAULT VALUES"
        for column in changed:
            yield "UPDATE", f"UPDATE {self.full_name} SET {column} = DEFAULT WHERE false"
        yield "DELETE", f"DELETE FROM {self.full_name} WHERE false"
        if self[2] == "r":
            yield "TRUNCATE", f"TRUNCATE {self.full_name}"
            yield "REFERENCES", f"CREATE TABLE projections.more (x int REFERENCES {self.full_name})"
        when = "INSTEAD OF INSERT" if self[2] == "v" else "BEFORE INSERT"
        yield (
            "TRIGGER",
            (
                f"CREATE TRIGGER more {when} ON {self.full_name} FOR EACH ROW "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
        )


@pytest.fixture
async def relations(pool: Pool) -> list[Relation]:
    """All tables and views there are, in whatever schema; something is in the log."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    event = usage(0)
    repeat = usage(1, event_id=event.event_id)
    remarked = Remarked(opened(0), (Remark("display_name", "cannot be read"),))
    reversals = reversal(1, 1, event.event_id), reversal(2, 1, "request 1")
    batch = plan(event, repeat, rejected(USAGE, 2), rerouted(USAGE, 3), remarked, *reversals, end=(5, 3), usage_end=6)
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


@refused_before
@pytest.mark.parametrize("role", ROLES)
async def test_every_statement_on_every_table(relations: list[Relation], stack: Addresses, dsn: str, role: str) -> None:
    assert {relation[0] for relation in relations} >= {"meter", "projections", "notifier"}
    wrong = []
    async with log_in(stack, dsn, role) as connection:
        for relation in relations:
            wanted = allowed(role, relation[0], relation[1])
            for kind, statement in relation.statements(role):
                permitted = await is_permitted(connection, statement)
                is_view_write = relation[2] == "v" and kind != "SELECT"  # allowed or not: views of joins take none
                if permitted != (kind in wanted) and (permitted or not is_view_write):
                    wrong.append(f"{kind} on {relation.full_name} is {'permitted' if permitted else 'refused'}")
    assert not wrong, "\n".join(wrong)


@refused_before
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_of_some_columns_can_change_no_other(
    relations: list[Relation], stack: Addresses, dsn: str, pool: Pool, role: str
) -> None:
    async with log_in(stack, dsn, role) as connection:
        for schema, name, _kind, _column in relations:
            for right, statement in (
                ("UPDATE", "UPDATE {} SET {} = DEFAULT WHERE false"),
                ("INSERT", "INSERT INTO {} ({}) VALUES (DEFAULT)"),
            ):
                granted = columns_of(role, schema, name, right)
                names = await pool.fetch(
                    "SELECT attname FROM pg_attribute "
                    "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
                    f"{schema}.{name}",
                )
                for (column,) in names if granted else ():
                    permitted = await is_permitted(connection, statement.format(f"{schema}.{name}", column))
                    assert permitted == (column in granted), f"{right} of {schema}.{name}.{column}"


MAKING = (
    "CREATE SCHEMA more",
    "CREATE TEMPORARY TABLE more (x int)",
    *(
        statement.format(schema=schema)
        for schema in ("meter", "projections", "notifier", "public")
        for statement in (
            "CREATE TABLE {schema}.more (x int)",
            "CREATE VIEW {schema}.more AS SELECT 1",
            "CREATE SEQUENCE {schema}.more",
            "CREATE TYPE {schema}.more AS (x int)",
            "CREATE FUNCTION {schema}.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION {schema}.more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE OPERATOR {schema}.@@@ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)",
        )
    ),
    "CREATE EVENT TRIGGER more ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE PUBLICATION more",
    "CREATE ROLE more",
    "COPY pg_roles TO PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
    "SET ROLE credit_owner",
    "SET SESSION AUTHORIZATION credit_owner",
)


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_can_make_anything(relations: list[Relation], stack: Addresses, dsn: str, role: str) -> None:
    assert relations
    made = []
    async with log_in(stack, dsn, role) as connection:
        for statement in MAKING:
            try:
                async with connection.transaction():
                    await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            except asyncpg.PostgresError as error:
                made.append(f"{statement}: {error}")
                continue
            made.append(statement)
    assert made == []


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_can_take_the_protection_away(
    relations: list[Relation], pool: Pool, stack: Addresses, dsn: str, role: str
) -> None:
    triggers = () if await is_on_citus(pool) else ("DROP TRIGGER append_only_rows ON meter.{}",)
    async with log_in(stack, dsn, role) as connection:
        for table in LOG:
            for statement in (
                f"DROP TABLE meter.{table} CASCADE",
                f"ALTER TABLE meter.{table} DISABLE TRIGGER ALL",
                f"ALTER TABLE meter.{table} ADD COLUMN more int",
                *(trigger.format(table) for trigger in triggers),
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


@pytest.mark.not_on_citus("Citus takes no triggers: append-only holds by privileges there (test_citus)")
@pytest.mark.parametrize("table", LOG)
async def test_triggers_refuse_even_the_owner(relations: list[Relation], pool: Pool, table: str) -> None:
    """The tests' pool is the superuser who owns everything."""
    if table == "replays":
        await pool.execute(load_sql("meter", "append_replay"), 1, "tests", usage(0).occurred_at, None, None)
    if table == "dismissals":
        await pool.execute(load_sql("meter", "append_dismissals"), [1], "tests", "tests", usage(0).occurred_at)
    column = WITHOUT_TIME.get(table, "recorded_at")
    for statement in (
        f"UPDATE meter.{table} SET {column} = {column}",
        f"DELETE FROM meter.{table}",
        f"TRUNCATE meter.{table} CASCADE",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await pool.execute(statement)
