"""The tasks that fold usage: behind the balances and never ahead of them, side by side, and beside other processes."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from meter.runtime.postgres import Executor, Pool
from projections import store_usage
from projections.plan import PositionRange, count_events
from projections.store_usage import Folded, UsageStore
from schemas.topics import partition_for
from tests.integration.projections_histories import random_usage
from tests.integration.projections_log import MOST, SHARDS, EventLog, fold_all, opened, used
from tests.integration.usage_log import assert_usage, fold_usage


async def test_usage_is_never_ahead_of_the_balances(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 1))
    assert await UsageStore(pool, most_events=100).fold() == Folded(0, 0)
    await fold_all(pool, MOST)
    done = await UsageStore(pool, most_events=100).fold()
    assert (done.events, done.waiting) == (4, 4) and done.waits_s > 0


async def test_usage_is_not_late_while_balances_are(pool: Pool, log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then they go first: usage takes no second processor."""
    monkeypatch.setattr(store_usage, "BALANCES_FIRST", 2)
    store = UsageStore(pool, most_events=1)
    await log.append(*opened("acct-1"), used("acct-1", 1))
    await fold_all(pool, MOST)
    assert (await store.fold()).waits_s > 0
    await log.append(*(used("acct-1", 1) for _ in range(3)))
    assert (await store.fold())[::2] == (1, 0)
    await fold_all(pool, MOST)
    assert (await store.fold()).waits_s > 0


@pytest.mark.parametrize("quick", [400, 0])
async def test_a_piece_that_takes_longer_than_a_statement_may_is_cut_and_the_other_shards_go_on(
    pool: Pool, log: EventLog, monkeypatch: pytest.MonkeyPatch, quick: int
) -> None:
    """Until it is quick enough; where the fewest events are not, that is no matter of the events."""
    fold_piece = store_usage.fold_piece
    hard = partition_for(b"acct-hard", SHARDS)

    async def fold_quickly(connection: Executor, ranges: Sequence[PositionRange]) -> None:
        if count_events([each for each in ranges if each.shard == hard]) > quick:
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
        await fold_piece(connection, ranges)

    monkeypatch.setattr(store_usage, "fold_piece", fold_quickly)
    await log.append(*random_usage(9, 100), *(used("acct-hard", 1) for _ in range(1_000)))
    await fold_all(pool, 10_000)
    store = UsageStore(pool, most_events=100_000)
    of_others = sum(event.shard != hard for event in log.events)
    folded = 0
    while folded < of_others:
        done = await store.fold()
        assert done.is_cut or done.events
        folded += done.events
    if not quick:
        with pytest.raises(asyncpg.QueryCanceledError):
            while (done := await store.fold()).is_cut:
                pass
        return
    while (done := await store.fold()) != Folded(0, 0):
        assert done.is_cut or 0 < done.events <= quick
    await assert_usage(pool, log.events)


async def test_tasks_of_one_process_take_different_shards(
    pool: Pool, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_usage, "PIECE_EVENTS", 1)
    await log.append(*random_usage(9, 300))
    await fold_all(pool, MOST)
    shards = {event.shard for event in log.events}
    assert len(shards) > 2
    store = UsageStore(pool, most_events=1_000)
    done = await asyncio.gather(*(store.fold() for _ in range(len(shards) + 1)))
    assert sorted(each.events > 0 for each in done) == [False] + [True] * len(shards)
    assert sum(each.events for each in done) == len(log.events)
    await assert_usage(pool, log.events)


async def test_a_shard_that_another_process_has_counts_for_nothing_until_it_lets_go(
    pool: Pool, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else usage would not rest for as long as the other has it, in pieces of an event or two."""
    await log.append(*random_usage(9, 300))
    await fold_all(pool, MOST)
    held = log.events[0].shard
    store = UsageStore(pool, most_events=1_000)
    async with pool.acquire() as other, other.transaction():
        await other.execute(
            "SELECT FROM projections.cursors WHERE projection = 'usage' AND shard = $1 FOR UPDATE", held
        )
        first = await store.fold()
        free = [event for event in log.events if event.shard != held]
        assert first[:2] == (len(free), len(free)) and first.waits_s > 0
        assert await store.fold() == Folded(0, 0)
        await log.append(*random_usage(10, 300))
        await fold_all(pool, MOST)
    monkeypatch.setattr(store_usage, "PIECE_EVENTS", 1)  # the others always have enough for a piece
    await store.fold()
    assert await pool.fetchval(
        "SELECT u.position = b.position FROM projections.cursors u JOIN projections.cursors b USING (shard) "
        "WHERE u.projection = 'usage' AND b.projection = 'balance' AND shard = $1", held
    )  # fmt: skip
    await assert_usage(pool, log.events)


async def test_workers_side_by_side_fold_every_event_once(pool: Pool, log: EventLog) -> None:
    await log.append(*random_usage(9, 300))
    await fold_all(pool, MOST)
    await asyncio.gather(*(fold_usage(pool, most_events) for most_events in (3, 10, 1000)))
    await assert_usage(pool, log.events)
