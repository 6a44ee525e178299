"""What `meter setup` grants: each role does its work and no more, and nobody changes the log."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import ROLES, create_roles
from meter.runtime.postgres import Pool, create_pool, load_sql
from meter.store.events import PostgresEventStore
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import opened, plan, rejected, usage

DENIED = (asyncpg.InsufficientPrivilegeError,)


@pytest.fixture
async def granted(pool: Pool) -> Pool:
    """A database with the roles' grants and something in every table of the meter."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    event = usage(0)
    await PostgresEventStore(pool).append(
        plan(event, usage(1, event_id=event.event_id), rejected(USAGE, 2), opened(0), end=(4, 1))
    )
    return pool


@pytest.fixture
async def as_role(granted: Pool, stack: Addresses, dsn: str) -> AsyncIterator[dict[str, asyncpg.Connection]]:
    database = dsn.rpartition("/")[2]
    connections = {role: await asyncpg.connect(stack.dsn(database, f"credit_{role}")) for role in ROLES}
    yield connections
    for connection in connections.values():
        await connection.close()


Connections = dict[str, asyncpg.Connection]


async def test_granting_again_is_harmless(granted: Pool) -> None:
    async with granted.acquire() as connection:
        await create_roles(connection)


async def test_the_meter_role_can_append(as_role: Connections, stack: Addresses, dsn: str) -> None:
    pool = await create_pool(stack.dsn(dsn.rpartition("/")[2], "credit_meter"), max_size=2, application_name="tests")
    try:
        store = PostgresEventStore(pool)
        rows = plan(usage(4), usage(5, name="\x00"), rejected(ACCOUNTS, 1), start=(4, 1), end=(7, 2))
        appended = await store.append(rows)
        assert (appended.stored, appended.rejected, appended.gaps) == (1, 2, 1)
    finally:
        await pool.close()


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_changes_the_log(as_role: Connections, role: str) -> None:
    for table in ("events", "batches", "duplicates", "rejections", "gaps", "topics", "replays"):
        column = "replayed_at" if table == "replays" else "recorded_at"
        for statement in (
            f"UPDATE meter.{table} SET {column} = now()",
            f"DELETE FROM meter.{table}",
            f"TRUNCATE meter.{table} CASCADE",
            f"DROP TABLE meter.{table}",
        ):
            with pytest.raises(DENIED):
                await as_role[role].execute(statement)


ASK_FOR_A_TRY = (
    "INSERT INTO notifier.retry_requests (shard, request_id, email_id, requested_by) "
    "SELECT shard, email_id, email_id, 'x' FROM notifier.emails"
)
FORBIDDEN = {
    "meter": [
        "SELECT * FROM projections.balances", "SELECT * FROM notifier.accounts", "DELETE FROM meter.shards",
        "INSERT INTO meter.replays VALUES (DEFAULT, 1, 'x', now())",
    ],
    "projections": [
        "INSERT INTO meter.gaps VALUES (0, 'x', 1, 2, now())", "UPDATE meter.shards SET usage_offset = 0",
        "SELECT * FROM meter.rejections", "SELECT * FROM notifier.accounts",
    ],
    "notifier": ["SELECT * FROM meter.events", "SELECT * FROM meter.shards", "SELECT * FROM projections.balances"],
    "support": [
        "UPDATE meter.shards SET usage_offset = 0", "INSERT INTO meter.gaps VALUES (0, 'x', 1, 2, now())",
        "UPDATE projections.account_states SET plan = 'x'", "DELETE FROM notifier.emails",
        "UPDATE notifier.emails SET state = 'queued'", "UPDATE notifier.retry_requests SET outcome = 'queued'",
        "INSERT INTO notifier.retry_requests (outcome) VALUES ('queued')",
    ],
    "console": [
        "SELECT * FROM meter.events", "SELECT * FROM projections.account_states", "SELECT * FROM notifier.emails",
        "SELECT * FROM notifier.accounts", "DELETE FROM projections.usage_slots",
    ],
    "pruner": [
        "SELECT * FROM meter.events", "DELETE FROM meter.events", "DELETE FROM meter.batches", "DELETE FROM meter.gaps",
        "UPDATE meter.rejections SET reason = 'x'", "TRUNCATE meter.rejections", "DELETE FROM meter.pruned",
        "DELETE FROM meter.replays", "SELECT * FROM projections.balances", "SELECT * FROM notifier.emails",
        "DELETE FROM meter.rejections WHERE false",
    ],
    "reader": [
        "SELECT * FROM meter.events", "SELECT * FROM meter.event_log", "SELECT * FROM projections.account_states",
        "SELECT * FROM notifier.accounts", "SELECT * FROM projections.outbox",
    ],
}  # fmt: skip
ALLOWED = {
    "meter": ["SELECT * FROM meter.event_log", "SELECT * FROM meter.rejections"],
    "projections": [
        "SELECT * FROM meter.events", "SELECT * FROM meter.shards", "SELECT * FROM meter.resources",
        "UPDATE projections.cursors SET position = 1", "DELETE FROM projections.outbox",
    ],
    "notifier": [
        "SELECT * FROM notifier.accounts", "DELETE FROM notifier.banners",
        "UPDATE notifier.cursors SET next_offset = 0",
    ],
    "support": [
        "SELECT contacts FROM projections.account_states", "SELECT * FROM notifier.emails",
        "SELECT * FROM meter.rejections",
        "INSERT INTO meter.replays (rejection_id, replayed_by, replayed_at) VALUES (1, 'x', now())",
        ASK_FOR_A_TRY,
    ],
    "console": [
        "SELECT * FROM projections.balances", "SELECT * FROM projections.usage_by_slot",
        "SELECT * FROM projections.account_history", "SELECT * FROM notifier.letter_history",
        "SELECT * FROM projections.forgotten_accounts",
    ],
    "pruner": [
        "SELECT * FROM meter.batches", "SELECT * FROM meter.pruned_counts",
    ],
    "reader": [
        "SELECT * FROM projections.balances", "SELECT * FROM projections.usage_by_day",
        "SELECT * FROM projections.accounts",
    ],
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
async def test_roles_have_what_they_need_and_no_more(as_role: Connections, role: str) -> None:
    for statement in ALLOWED[role]:
        await as_role[role].execute(statement)
    for statement in FORBIDDEN[role]:
        with pytest.raises(DENIED):
            await as_role[role].execute(statement)


@pytest.mark.not_on_citus("whoever inserts some columns there may insert those with defaults as well (acl_citus.txt)")
async def test_a_shard_that_the_meter_makes_begins_at_zero(as_role: Connections) -> None:
    with pytest.raises(DENIED):
        await as_role["meter"].execute("INSERT INTO meter.shards (shard, usage_offset) VALUES (99, 5)")


@pytest.mark.not_on_citus("a view is read there with the rights of who reads (acl_citus.txt)")
async def test_a_reader_reads_balances_through_views_alone(as_role: Connections) -> None:
    with pytest.raises(DENIED):
        await as_role["reader"].execute("SELECT * FROM projections.balance_states")


@pytest.mark.not_on_citus("`meter prune` refuses there")
async def test_the_pruner_may_remove_old_evidence(as_role: Connections) -> None:
    await as_role["pruner"].execute("SELECT * FROM meter.prune_rejections(0, 'metering.usage', 0, 0)")
