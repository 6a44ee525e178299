"""What a role can hold up: no table and no row that is not its own, no service by a transaction that it leaves open."""

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import ROLES
from meter.runtime.postgres import Pool, create_pool, load_sql
from meter.store.events import PostgresEventStore
from projections.plan import plan as plan_fold
from projections.store import FoldStore
from schemas.topics import USAGE
from tests.contract.rows import opened, plan, rejected, rerouted, usage
from tests.integration.acl import parse, wanted
from tests.integration.test_meter_prune import OLD
from tests.integration.test_meter_prune import store as store
from tests.integration.test_meter_roles import log_in
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.support.servers import is_cluster
from tests.unit.notifier.contract import CLAIM_S, queue_one

SERVICES: Final = ("meter", "projections", "notifier")
PEOPLE: Final = tuple(role for role in ROLES if role not in SERVICES)
HARMLESS: Final = ("ROW SHARE", "ROW EXCLUSIVE")  # of tables: they conflict with no statement of a service
MODES: Final = (
    *HARMLESS, "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip
ROW_LOCKS: Final = ("FOR KEY SHARE", "FOR SHARE", "FOR NO KEY UPDATE", "FOR UPDATE")
TABLES: Final = """
SELECT n.nspname, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 2
"""
ROUTINES: Final = """
SELECT p.oid::regprocedure::text AS name, format('SELECT %I.%I(%s)', n.nspname, p.proname,
       (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(p.proargtypes) t)) AS call,
       p.prosecdef AS as_owner, p.proconfig AS config, p.prorettype = 'trigger'::regtype AS of_trigger
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^(pg_|citus|columnar)' AND n.nspname <> 'information_schema' ORDER BY 1
"""
LOCK_TIMEOUT_S: Final = 2
EVIDENCE_ROWS: Final = """
SELECT (SELECT count(*) FROM meter.duplicates) + (SELECT count(*) FROM meter.rejections)
       + (SELECT count(*) FROM meter.rerouted)
"""
WRITTEN: Final = {
    "support": (
        """INSERT INTO meter.replays (rejection_id, replayed_by, replayed_at)
           SELECT rejection_id, 'me', now() FROM meter.rejections""",
        """INSERT INTO notifier.retry_requests (shard, request_id, email_id, requested_by)
           SELECT shard, email_id, email_id, 'me' FROM notifier.emails""",
    ),
    "pruner": (
        """INSERT INTO meter.pruned (shard, batch, usage_offset, accounts_offset, pruned_by)
           SELECT 0, 1, usage_to, accounts_to, 'me' FROM meter.batches WHERE batch = 1""",
        "SELECT meter.prune_duplicates(0, 'metering.usage', 0, 10)",
        "SELECT meter.prune_rejections(0, 'metering.usage', 0, 10)",
        "SELECT meter.prune_rerouted(0, 'metering.usage', 0, 10)",
    ),
}


@pytest.fixture
async def tables(store: PostgresEventStore, pool: Pool) -> list[tuple[str, str]]:
    """Schema and full name of all tables and views; something is in the log."""
    return [(row["nspname"], row["name"]) for row in await pool.fetch(TABLES)]


async def find_taken(connection: asyncpg.Connection, names: list[str], statements: list[str]) -> list[str]:
    """Names where one of the statements gets its lock; it is given back."""
    taken = []
    for name in names:
        for statement in statements:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(statement.format(name))
                taken.append(name)
                break
            except (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError):
                continue
            finally:
                await transaction.rollback()
    return taken


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_locks_a_table_that_is_not_its_own(
    tables: list[tuple[str, str]], stack: Addresses, dsn: str, role: str
) -> None:
    """Who may delete from a table or change it as a whole may lock it: no person's role may, no service elsewhere."""
    others = [name for schema, name in tables if schema != role]
    assert len(others) > 50
    async with log_in(stack, dsn, role) as connection:
        locks = [f"LOCK TABLE {{}} IN {mode} MODE NOWAIT" for mode in MODES if mode not in HARMLESS]
        assert await find_taken(connection, others, locks) == []


@pytest.mark.not_on_citus("Citus locks rows of one shard alone, and refuses all others before it asks for rights")
@pytest.mark.parametrize("role", ROLES)
async def test_no_role_locks_a_row_that_is_not_its_own(
    tables: list[tuple[str, str]], stack: Addresses, dsn: str, role: str
) -> None:
    own = {"pruner": ["meter.pruned"]}.get(role, [])
    others = [name for schema, name in tables if schema != role]
    async with log_in(stack, dsn, role) as connection:
        taken = await find_taken(connection, others, [f"SELECT 1 FROM {{}} {lock} NOWAIT" for lock in ROW_LOCKS])
        assert taken == own


prunes = pytest.mark.not_on_citus("`meter prune` refuses there, and so do its functions")


@pytest.mark.parametrize("role", [*(role for role in ROLES if role != "pruner"), pytest.param("pruner", marks=prunes)])
async def test_each_role_runs_the_functions_of_the_list_and_no_other(
    store: PostgresEventStore, pool: Pool, stack: Addresses, dsn: str, role: str
) -> None:
    """Called with nothing at all, none of them fails; what runs as the owner has a fixed search_path."""
    granted = {one.name for one in parse(wanted()) if one.kind == "routine" and one.role == f"credit_{role}"}
    routines = [dict(row) for row in await pool.fetch(ROUTINES)]
    assert granted <= {routine["name"] for routine in routines}
    async with log_in(stack, dsn, role) as connection:
        for routine in routines:
            assert not routine["as_owner"] or routine["config"] == ["search_path=pg_catalog"], routine["name"]
            if routine["name"] in granted:
                await connection.execute(routine["call"])
                continue
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
                await connection.execute(routine["call"])


@prunes
@pytest.mark.parametrize("function", ["prune_duplicates", "prune_rejections", "prune_rerouted"])
@pytest.mark.parametrize(
    "arguments",
    [
        "0, 'metering.usage', -9223372036854775808, 9223372036854775807",
        "0, 'metering.accounts', 0, 1000",
        "0, 'x', 0, 1000",
    ],
)
async def test_the_functions_that_prune_take_nothing_that_is_kept(
    store: PostgresEventStore, pool: Pool, stack: Addresses, dsn: str, function: str, arguments: str
) -> None:
    """Before anything was said to be pruned, whatever range is named, and whatever the session looks names up in."""
    before = await pool.fetchval(EVIDENCE_ROWS)
    async with log_in(stack, dsn, "pruner") as connection:
        await connection.execute("SET search_path = meter, public, pg_catalog")
        call = connection.fetchval(f"SELECT rows FROM meter.{function}({arguments})")
        if "metering.usage" not in arguments:
            assert await call == 0
        else:  # the topic of the evidence there is
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await call
    assert await pool.fetchval(EVIDENCE_ROWS) == before


@pytest.fixture
async def meter_store(stack: Addresses, dsn: str) -> AsyncIterator[PostgresEventStore]:
    """As the service has it, but for how long it waits."""
    made = await create_pool(
        stack.dsn(dsn.rpartition("/")[2], "credit_meter"), application_name="tests", lock_timeout_s=LOCK_TIMEOUT_S
    )
    yield PostgresEventStore(made)
    await made.close()


@pytest.mark.parametrize("role", [*(role for role in PEOPLE if role != "pruner"), pytest.param("pruner", marks=prunes)])
async def test_a_transaction_that_a_person_leaves_open_holds_no_service_up(
    tables: list[tuple[str, str]], stores: PostgresStores, meter_store: PostgresEventStore, pool: Pool,
    stack: Addresses, dsn: str, role: str,
) -> None:  # fmt: skip
    """It holds every lock that the role can get, and has read and written what it may."""
    await pool.execute(load_sql("meter", "insert_projection_cursors"), 1)
    await queue_one(stores)
    async with log_in(stack, dsn, role) as connection:
        transaction = connection.transaction()
        await transaction.start()
        for statement in (
            *WRITTEN.get(role, ()),
            *(text.format(name) for _, name in tables for text in (
                "SELECT 1 FROM {} LIMIT 1", *(f"LOCK TABLE {{}} IN {mode} MODE NOWAIT" for mode in MODES),
            )),
        ):  # fmt: skip
            try:
                async with connection.transaction():
                    await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                assert statement not in WRITTEN.get(role, ()), statement
            except asyncpg.ActiveSQLTransactionError:
                assert is_cluster(), statement  # one connection to a node does not read what another one wrote
        event = usage(30)
        batch = (
            event,
            event._replace(offset=31),
            rejected(USAGE, 32),
            rerouted(USAGE, 33),
            opened(3, account_id="new"),
        )
        appended = await meter_store.append(plan(*batch, start=(30, 3), at=OLD))
        assert (appended.stored, appended.duplicates, appended.rejected) == (4, 1, 1)
        assert await FoldStore(pool, most_events=1_000).fold(plan_fold) is not None
        assert await stores.queue.claim(CLAIM_S) is not None, "the letter is held back"
        await transaction.rollback()


@pytest.mark.parametrize("role", PEOPLE)
async def test_a_person_s_transaction_in_which_nothing_happens_ends(
    store: PostgresEventStore, stack: Addresses, dsn: str, role: str
) -> None:
    """Else a window that is left open holds up migrations, and keeps old rows, until it is closed."""
    async with log_in(stack, dsn, role) as connection:
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"
