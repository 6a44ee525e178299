"""Accounts that nobody opened: counted, kept for the opening, shown to support, and in no view of readers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.postgres import Pool, load_sql
from projections.reader import BalanceReader
from projections.store import FoldStore, sql
from tests.integration.plans import explain
from tests.integration.projections_log import (
    Event,
    EventLog,
    contacts_changed,
    fold_all,
    granted,
    item,
    opened,
    plan_changed,
    renamed,
    reversal_of,
    tool,
    used,
)
from tests.integration.test_meter_roles import log_in
from tests.integration.test_projections_plans import BALANCES, SHARDS
from tests.integration.usage_log import fold_usage

MADE_UP, REAL = "made-up", "acct-1"
ROLES: Final = ("reader", "console")
VIEWS: Final = """
SELECT c.oid::regclass::text
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace::regnamespace::text IN ('meter', 'projections', 'notifier')
  AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 1
"""
# What the history below has nothing of: banners, notices and letters are the notifier's; its months are not over, and
# nobody is forgotten.
EMPTY: Final = {
    "notifier.letter_history", "notifier.notice_history", "notifier.shown_banners", "projections.exhausted",
    "projections.forgotten_accounts", "projections.usage_by_day_and_kind", "projections.usage_by_own_month",
}  # fmt: skip


async def list_views(connection: asyncpg.Connection) -> list[str]:
    """Whatever this role may read that says of which account it is."""
    return [row[0] for row in await connection.fetch(VIEWS)]


async def find_views_with(connection: asyncpg.Connection, account_ids: list[str]) -> set[str]:
    """Those in which any of the accounts is."""
    statement = "SELECT EXISTS (SELECT account_id FROM {} WHERE account_id = ANY($1))"
    return {
        view for view in await list_views(connection) if await connection.fetchval(statement.format(view), account_ids)
    }


def history(account: str) -> list[Event]:
    """Of everything some, also what nothing is billed for."""
    now = datetime.now(UTC)
    first = used(account, 5, "sage", data={"deployment": "eu", "hardware": "a10g"}, occurred_at=now)
    return [
        plan_changed(account, "team"), contacts_changed(account, "c@example.com"),
        renamed(account, display_name="Somebody", time_zone="Asia/Tokyo"),
        item(account, "sage", "Sage"), item(account, "idle", "Idle"),
        first, tool(account), reversal_of(first, 1_000_000), granted(account, 30),
        *(used(account, 0.5, "sage", occurred_at=now - timedelta(hours=number)) for number in range(12)),
    ]  # fmt: skip


@pytest.fixture
async def both(pool: Pool, log: EventLog) -> EventLog:
    """The same of an account that is open and of one that nobody opened."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    await log.append(*opened(REAL), *history(REAL), *history(MADE_UP))
    await fold(pool)
    return log


async def fold(pool: Pool) -> None:
    await fold_all(pool)
    await fold_usage(pool)


@pytest.mark.parametrize("role", ROLES)
async def test_who_nobody_opened_is_in_no_view_until_the_opening(
    pool: Pool, both: EventLog, stack: Addresses, dsn: str, role: str
) -> None:
    async with log_in(stack, dsn, role) as connection:
        views = set(await list_views(connection))
        assert await find_views_with(connection, [REAL]) == views - EMPTY
        assert await find_views_with(connection, [MADE_UP]) == set()
        await both.append(*opened(MADE_UP))
        await fold(pool)
        assert await find_views_with(connection, [MADE_UP]) == views - EMPTY
        figures = "SELECT account_id, resource, consumed, allowed FROM projections.balances ORDER BY 2, 1"
        rows = [tuple(row) for row in await connection.fetch(figures)]
    assert rows == [
        (REAL, "model_credits", 10, True), (MADE_UP, "model_credits", 10, True),
        (REAL, "tool_runs", 1, True), (MADE_UP, "tool_runs", 1, True),
    ]  # fmt: skip


async def test_months_that_are_over_are_left_out_as_well(pool: Pool, both: EventLog) -> None:
    """Summed up or not: the row says how far, and views of months begin with it."""
    until = "SELECT DISTINCT account_id FROM projections.usage_months_until"
    assert [row[0] for row in await pool.fetch(until)] == [REAL]


async def test_readers_are_told_that_nothing_is_allowed(pool: Pool, both: EventLog) -> None:
    reader = BalanceReader(pool)
    assert not await reader.allowed(MADE_UP, "model_credits")
    assert (await reader.get(MADE_UP), await reader.usage_by_day(MADE_UP)) == ({}, [])
    assert await reader.account(MADE_UP) is None


async def test_support_still_sees_what_is_kept(pool: Pool, both: EventLog) -> None:
    balance = await pool.fetchrow(load_sql("meter", "show_balances"), MADE_UP)
    assert balance is not None and (balance["allowed"], balance["account_state"]) == (False, "not_opened")
    shard = await pool.fetchval("SELECT shard FROM projections.balance_states WHERE account_id = $1 LIMIT 1", MADE_UP)
    kept = [tuple(row) for row in await pool.fetch(load_sql("meter", "show_kept_amounts"), shard, MADE_UP)]
    assert kept == [(1, 30_000_000, 10_000_000, 1, 13), (2, 0, 1_000_000, 0, 1)]
    [line] = await pool.fetch(load_sql("meter", "list_unopened"), 10)
    assert (line["account_id"], line["credits_used"]) == (MADE_UP, Decimal(10))
    assert line["since"] <= datetime.now(UTC).date()
    assert await FoldStore(pool, most_events=100).count_unopened() == 1


@pytest.fixture
async def filled(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(BALANCES, SHARDS)
    await connection.execute("ANALYZE projections.balance_states")
    yield connection
    await connection.close()


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
@pytest.mark.parametrize("name", ["read_allowed", "read_balances"])
async def test_what_is_asked_before_each_action_is_one_look_up(filled: asyncpg.Connection, name: str) -> None:
    arguments = "'acct-7', 'model_credits', NULL" if name == "read_allowed" else "'acct-7', NULL"
    await filled.execute(f"PREPARE question AS {sql(name)}")
    for mode in ("force_generic_plan", "force_custom_plan"):
        await filled.execute(f"SET plan_cache_mode = {mode}")
        scans = [node for node in await explain(filled, f"EXECUTE question ({arguments})") if "Relation Name" in node]
        assert [(node["Node Type"], node["Index Name"]) for node in scans] == [("Index Scan", "balance_states_pkey")]
