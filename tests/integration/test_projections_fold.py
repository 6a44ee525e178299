"""The fold on a real database: what it writes, and that nothing depends on how it is run."""

import json
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest

from meter.runtime.postgres import Pool
from projections.reader import BalanceReader
from projections.store import FoldStore
from schemas.build import decode_event
from schemas.outputs import AccountChanged, BalanceChanged
from schemas.resources import Resource
from tests.integration.projections_books import assert_balances
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import (
    MICRO,
    MOST,
    NOON,
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
    reversal_of,
    reversed_,
    revoked,
    take_batch,
    tool,
    used,
)
from tests.integration.usage_log import assert_usage, fold_usage


async def read_outbox(pool: Pool) -> list[BalanceChanged | AccountChanged]:
    rows = await pool.fetch("SELECT shard, value FROM projections.outbox ORDER BY shard, id")
    return [decode_event(row["value"]).data for row in rows]  # type: ignore[misc]


async def name(pool: Pool, message: AccountChanged) -> tuple[str, ...]:
    """The addresses that stand behind the ids of a message, as the notifier finds them."""
    sql = "SELECT contacts::text FROM projections.contacts WHERE account_id = $1"
    addresses = {key: address for address, key in json.loads(await pool.fetchval(sql, message.account_id))}
    return tuple(addresses[str(contact)] for contact in message.contact_ids)


async def test_opening_gives_balances_an_account_and_messages(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 15), tool("acct-1", 12))
    assert await fold_all(pool, MOST) == 1
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)
    messages = await read_outbox(pool)
    published = [(m.resource.value, m.percent, m.allowed) for m in messages if isinstance(m, BalanceChanged)]
    assert published == [("model_credits", 0, True), ("tool_runs", 0, True), ("model_credits", 20, True)]
    assert isinstance(messages[0], AccountChanged)
    assert await name(pool, messages[0]) == ("owner@example.com",)


async def test_messages_of_a_shard_stand_in_the_order_of_positions(pool: Pool, log: EventLog) -> None:
    history = random_history(seed=3)
    while history:
        await log.append(*take_batch(history, 1))
    await fold_all(pool, MOST)
    positions: defaultdict[int, list[int]] = defaultdict(list)
    for message in await read_outbox(pool):
        positions[message.shard].append(message.position)
    assert positions
    for own in positions.values():
        assert own == sorted(own)


@pytest.mark.parametrize("most_events", [1, 2, 7, 100, MOST])
async def test_balances_and_usage_do_not_depend_on_cuts(pool: Pool, log: EventLog, most_events: int) -> None:
    await log.append(*random_history(seed=11))
    await fold_all(pool, most_events)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)


async def test_usage_of_an_unknown_account_is_kept_and_told_once_it_is_known(pool: Pool, log: EventLog) -> None:
    await log.append(used("acct-new", 30))
    await fold_all(pool, MOST)
    assert await read_outbox(pool) == []
    row = await pool.fetchrow(
        "SELECT allowed, epoch, allocation, consumed, status, exhaustion FROM projections.all_balances"
    )
    assert row is not None
    assert tuple(row) == (False, 0, 0, 30, "exhausted", None)
    await log.append(*opened("acct-new"))
    await fold_all(pool, MOST)
    balance = await pool.fetchrow(
        "SELECT allowed, epoch, consumed FROM projections.balances WHERE resource = 'model_credits'"
    )
    assert balance is not None
    assert tuple(balance) == (True, 1, 30)


async def test_grants_before_the_opening_are_kept_and_count_as_one_epoch(pool: Pool, log: EventLog) -> None:
    await log.append(granted("acct-new", 100), used("acct-new", 30))
    await fold_all(pool, MOST)
    assert await read_outbox(pool) == []
    columns = "allowed, epoch, allocation, consumed, remaining, lifetime_granted, free_only"
    row = await pool.fetchrow(f"SELECT {columns} FROM projections.all_balances")
    assert row is not None
    assert tuple(row) == (False, 0, 0, 30, -30, 100, False)
    await log.append(*opened("acct-new"))
    await fold_all(pool, most_events=1)  # never cut between the opening and its free grants
    row = await pool.fetchrow(f"SELECT {columns} FROM projections.balances WHERE resource = 'model_credits'")
    assert row is not None
    assert tuple(row) == (True, 1, 175, 30, 145, 175, False)
    published = [m for m in await read_outbox(pool) if isinstance(m, BalanceChanged)]
    assert [(m.resource.value, m.epoch, m.percent, m.free_only) for m in published] == [
        ("model_credits", 1, 17, False), ("tool_runs", 1, 0, True),
    ]  # fmt: skip


async def test_a_reversal_behind_the_start_of_the_epoch_begins_another(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 80), granted("acct-1", 100), reversed_("acct-1", 20))
    await fold_all(pool, MOST)
    row = await pool.fetchrow(
        "SELECT consumed, allocation, remaining, epoch, exhaustion FROM projections.balances "
        "WHERE resource = 'model_credits'"
    )
    assert row is not None
    assert tuple(row) == (60, 175, 115, 3, Decimal("34.28"))
    last = [m for m in await read_outbox(pool) if isinstance(m, BalanceChanged)][-1]
    assert (last.epoch, last.consumed, last.percent) == (3, 60_000_000, 34)


async def test_a_revocation_takes_a_grant_back(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), granted("acct-1", 100), used("acct-1", 80), revoked("acct-1", 100))
    await fold_all(pool, MOST)
    row = await pool.fetchrow(
        "SELECT consumed, allocation, remaining, epoch, exhaustion, allowed, lifetime_granted "
        "FROM projections.balances WHERE resource = 'model_credits'"
    )
    assert row is not None
    assert tuple(row) == (5, 0, -5, 3, 100, False, 75)
    last = [m for m in await read_outbox(pool) if isinstance(m, BalanceChanged)][-1]
    assert (last.epoch, last.allocation, last.remaining, last.allowed) == (3, 0, -5_000_000, False)
    await log.append(revoked("acct-1", 1000))  # more than is left of all grants: all of them
    await fold_all(pool, MOST)
    assert await pool.fetchval("SELECT granted FROM projections.balance_states WHERE resource = 1") == 0
    await assert_balances(pool, log.events)


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


async def test_reversal_is_negative_in_usage_by_day_so_that_amounts_add_up(pool: Pool, log: EventLog) -> None:
    await log.append(*random_history(seed=5))
    await fold_all(pool, MOST)
    await fold_usage(pool)
    differing = await pool.fetch(
        """
        SELECT b.account_id, b.resource FROM projections.balances b
        LEFT JOIN (SELECT account_id, resource, sum(amount) AS amount FROM projections.usage_by_day GROUP BY 1, 2) u
            USING (account_id, resource)
        WHERE b.lifetime_consumed <> coalesce(u.amount, 0)
        """
    )
    assert differing == []


async def test_what_is_reversed_is_taken_from_the_kind_and_name_of_its_usage(pool: Pool, log: EventLog) -> None:
    """At the reversal's own time; a day may have nothing else. One that names no event has a line of its own."""
    first = used("acct-1", 5, "sage-3")
    later = NOON + timedelta(days=1)
    await log.append(*opened("acct-1"), first, used("acct-1", 2, "swift-1"), reversal_of(first, MICRO))
    await fold_all(pool, MOST)
    await fold_usage(pool)
    await log.append(reversal_of(first, 4 * MICRO, occurred_at=later), reversed_("acct-1", 1))
    await fold_all(pool, MOST)
    await fold_usage(pool)
    rows = await pool.fetch(
        "SELECT day, kind, name, events, amount FROM projections.usage_by_day ORDER BY day, kind, name"
    )
    assert [(str(row["day"]), *tuple(row)[1:]) for row in rows] == [
        ("2026-11-24", "model_inference", "sage-3", 1, 4),
        ("2026-11-24", "model_inference", "swift-1", 1, 2),
        ("2026-11-24", "reversal", "failed_run", 1, -1),
        ("2026-11-25", "model_inference", "sage-3", 0, -4),
    ]
    await assert_usage(pool, log.events)


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
    assert [(m.plan, await name(pool, m)) for m in changes] == [
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
    assert (told.plan, await name(pool, told), told.state) == ("team", ("c@example.com",), "open")
    row = await pool.fetchrow("SELECT plan, time_zone, state FROM projections.accounts")
    assert row is not None and tuple(row) == ("team", "Asia/Tokyo", "open")
    assert await pool.fetchval("SELECT array_agg(account_id) FROM projections.unopened_accounts") == ["acct-2"]
    assert await FoldStore(pool, most_events=MOST).count_unopened() == 1


async def test_many_grants_and_reversals_in_one_transaction_are_folded_one_by_one(pool: Pool, log: EventLog) -> None:
    events = opened("acct-1")
    for _ in range(50):
        events += [used("acct-1", 60), reversed_("acct-1", 20), used("acct-1", 40), granted("acct-1", 75)]
    await log.append(*events)
    assert await fold_all(pool, MOST) == 1
    await assert_balances(pool, log.events)
    changes = [m for m in await read_outbox(pool) if isinstance(m, BalanceChanged) and m.resource == "model_credits"]
    epochs = {m.epoch: max(x.percent for x in changes if x.epoch == m.epoch) for m in changes}
    assert list(epochs) == list(range(1, 52))
    assert max(epochs.values()) >= 100
