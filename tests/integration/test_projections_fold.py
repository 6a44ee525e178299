"""The fold on a real database: what it writes, and that nothing depends on how it is run."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest

from meter.runtime.postgres import Pool
from schemas.outputs import AccountChanged, BalanceChanged
from tests.integration.projections_books import assert_balances
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import (
    MICRO,
    MOST,
    NOON,
    EventLog,
    fold_all,
    granted,
    opened,
    reversal_of,
    reversed_,
    revoked,
    take_batch,
    tool,
    used,
)
from tests.integration.projections_messages import find_contacts, read_outbox
from tests.integration.usage_log import assert_usage, fold_usage


async def test_opening_gives_balances_an_account_and_messages(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 15), tool("acct-1", 12))
    assert await fold_all(pool, MOST) == 1
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)
    messages = await read_outbox(pool)
    published = [(m.resource.value, m.percent, m.allowed) for m in messages if isinstance(m, BalanceChanged)]
    assert published == [("model_credits", 0, True), ("tool_runs", 0, True), ("model_credits", 20, True)]
    assert isinstance(messages[0], AccountChanged)
    assert await find_contacts(pool, messages[0]) == ("owner@example.com",)


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
