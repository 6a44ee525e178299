"""What the fold makes of accounts: opened once, closed, reopened, renamed, and what came before the opening."""

from decimal import Decimal

import pytest

from meter.runtime.postgres import Pool
from projections.reader import BalanceReader
from projections.store import FoldStore
from schemas.outputs import AccountChanged, BalanceChanged
from schemas.resources import Resource
from tests.integration.projections_log import (
    MOST,
    RUNS,
    EventLog,
    closed,
    contacts_changed,
    fold_all,
    granted,
    opened,
    plan_changed,
    renamed,
    reopened,
    tool,
    used,
)
from tests.integration.projections_messages import find_contacts, read_outbox


async def test_a_closed_account_is_not_allowed_until_it_is_reopened(pool: Pool, log: EventLog) -> None:
    reader = BalanceReader(pool)
    await log.append(*opened("acct-1"), closed("acct-1"), used("acct-1", 15))
    await fold_all(pool, most_events=1)
    assert not await reader.allowed("acct-1", "model_credits") and not await reader.allowed("acct-1", "tool_runs")
    balance = (await reader.get("acct-1"))[Resource.MODEL_CREDITS]
    assert (balance.account_state, balance.consumed, balance.status, balance.epoch) == (
        "closed",
        Decimal(15),
        "good",
        1,
    )
    account = await reader.account("acct-1")
    assert account is not None and account.state == "closed"
    await log.append(reopened("acct-1"))
    await fold_all(pool, MOST)
    assert await reader.allowed("acct-1", "model_credits")
    assert (await reader.get("acct-1"))[Resource.TOOL_RUNS].account_state == "open"
    messages = await read_outbox(pool)
    assert [m.state for m in messages if isinstance(m, AccountChanged)] == ["open", "closed", "open"]
    told = [(m.resource.value, m.allowed, m.epoch) for m in messages if isinstance(m, BalanceChanged)]
    assert told == [
        ("model_credits", True, 1), ("tool_runs", True, 1), ("model_credits", False, 1), ("tool_runs", False, 1),
        ("model_credits", False, 1), ("model_credits", True, 1), ("tool_runs", True, 1),
    ]  # fmt: skip
    kinds = [type(message) for message in messages]
    assert kinds[3:6] == [AccountChanged, BalanceChanged, BalanceChanged]  # the account first, at one position


async def test_a_balance_that_begins_while_the_account_is_closed_is_closed(pool: Pool, log: EventLog) -> None:
    await log.append(opened("acct-1")[0], closed("acct-1"), granted("acct-1", 5), used("acct-1", 1), tool("acct-1"))
    await fold_all(pool, most_events=1)
    rows = await pool.fetch(
        "SELECT resource, account_state, allowed, epoch FROM projections.balances ORDER BY resource"
    )
    assert [tuple(row) for row in rows] == [("model_credits", "closed", False, 1), ("tool_runs", "closed", False, 0)]


async def test_a_renamed_account_keeps_what_is_not_named(pool: Pool, log: EventLog) -> None:
    await log.append(
        *opened("acct-1"),
        renamed("acct-1", time_zone="Europe/Berlin"),
        renamed("acct-1", display_name="Ann & Co", time_zone="no zone"),
        renamed("acct-1", display_name=" "),
    )
    await fold_all(pool, MOST)
    account = await BalanceReader(pool).account("acct-1")
    assert account is not None
    assert (account.display_name, account.time_zone, account.state) == ("Ann & Co", "Europe/Berlin", "open")
    assert sum(isinstance(m, AccountChanged) for m in await read_outbox(pool)) == 3  # a zone alone is told too
    assert await pool.fetchval("SELECT display_name FROM projections.contacts") == "Ann & Co"


async def test_an_opening_opens_a_balance_without_a_free_allowance(pool: Pool, log: EventLog) -> None:
    """The allowance of a resource may be set to nothing: what is kept of it counts at the opening all the same."""
    await log.append(granted("acct-1", 5, RUNS), opened("acct-1")[0], granted("acct-1", 7), granted("acct-1", 1, RUNS))
    await fold_all(pool, most_events=1)
    rows = await pool.fetch("SELECT resource, allocation, epoch, allowed FROM projections.balances ORDER BY resource")
    assert [tuple(row) for row in rows] == [("model_credits", 7, 1, True), ("tool_runs", 6, 2, True)]
    ids = [
        row["id"]
        for row in await pool.fetch("SELECT convert_from(value, 'utf8')::json ->> 'id' AS id FROM projections.outbox")
    ]
    assert len(set(ids)) == len(ids) == 4  # the account, two openings of balances and a grant


async def test_first_opening_wins_and_changes_are_told(pool: Pool, log: EventLog) -> None:
    await log.append(
        *opened("acct-1", plan="free", contacts=["a@example.com"]),
        opened("acct-1", plan="team", contacts=["b@example.com"])[0],
        plan_changed("acct-1", "team"),
        plan_changed("acct-1", "team"),
        contacts_changed("acct-1", "c@example.com", "d@example.com"),
    )
    await fold_all(pool, MOST)
    changes = [m for m in await read_outbox(pool) if isinstance(m, AccountChanged)]
    assert [(m.plan, await find_contacts(pool, m)) for m in changes] == [
        ("free", ("a@example.com",)),
        ("team", ("a@example.com",)),
        ("team", ("c@example.com", "d@example.com")),
    ]
    row = await pool.fetchrow("SELECT plan, contacts::text, display_name FROM projections.account_states")
    assert row is not None
    assert tuple(row) == ("team", '["c@example.com", "d@example.com"]', "Name of acct-1")


@pytest.mark.parametrize("most_events", [1, MOST])
async def test_what_came_before_the_opening_is_kept_listed_and_applied(
    pool: Pool, log: EventLog, most_events: int
) -> None:
    await log.append(
        plan_changed("acct-1", "team"),
        contacts_changed("acct-1", "c@example.com"),
        renamed("acct-1", time_zone="Asia/Tokyo"),
        closed("acct-1"),
        granted("acct-1", 5),
        used("acct-1", 2),
        used("acct-2", 3),
    )
    await fold_all(pool, most_events=most_events)
    assert await pool.fetchval("SELECT count(*) FROM projections.accounts") == 0
    rows = await pool.fetch(
        "SELECT account_id, plan, time_zone, contacts, credits_granted, credits_used, runs_used "
        "FROM projections.unopened_accounts ORDER BY account_id"
    )
    assert [tuple(row) for row in rows] == [
        ("acct-1", "team", "Asia/Tokyo", 1, 5, 2, 0), ("acct-2", None, None, None, 0, 3, 0)
    ]  # fmt: skip
    assert await read_outbox(pool) == []
    assert await FoldStore(pool, most_events=MOST).count_unopened() == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projections.store.MOST_UNOPENED", 1)
        assert await FoldStore(pool, most_events=MOST).count_unopened() == 1, "millions are not counted"
    await log.append(*opened("acct-1", plan="free", contacts=["a@example.com"]))
    await fold_all(pool, most_events=most_events)
    [told] = [m for m in await read_outbox(pool) if isinstance(m, AccountChanged)]
    assert (told.plan, await find_contacts(pool, told), told.state) == ("team", ("c@example.com",), "open")
    row = await pool.fetchrow("SELECT plan, time_zone, state FROM projections.accounts")
    assert row is not None and tuple(row) == ("team", "Asia/Tokyo", "open")
    assert await pool.fetchval("SELECT array_agg(account_id) FROM projections.unopened_accounts") == ["acct-2"]
    assert await FoldStore(pool, most_events=MOST).count_unopened() == 1
