"""The fold while others work: runners side by side, failures, logs that are damaged, newer or being written."""

import asyncio
import threading
from collections import Counter

import asyncpg
import pytest

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool
from projections.plan import FoldPlan, LogDamagedError, Reading, plan
from projections.store import PROJECTION, FoldStore, fetch_position
from tests.integration.projections_books import assert_balances
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import (
    MOST,
    NEW_GENERATION,
    SHARDS,
    Event,
    EventLog,
    fold_all,
    granted,
    opened,
    take_batch,
    used,
)
from tests.integration.usage_log import assert_usage
from tests.support.damaging import lift_triggers
from tests.support.waiting import GIVEN_UP_S


async def test_runners_side_by_side_fold_every_event_once(pool: Pool, log: EventLog) -> None:
    history = random_history(seed=7, accounts=20, length=600)

    async def write() -> None:
        while history:
            await log.append(*take_batch(history, 20))

    stop = asyncio.Event()
    folded: Counter[int] = Counter()  # events, by the runner

    async def run(most_events: int) -> None:
        store = FoldStore(pool, most_events=most_events)
        while not stop.is_set():
            if (done := await store.fold(plan)) is None:
                await asyncio.sleep(0)
            else:
                folded[most_events] += done.events

    async with asyncio.timeout(GIVEN_UP_S), asyncio.TaskGroup() as group:
        for most in (3, 10, 1000):
            group.create_task(run(most))
        await write()
        while len(folded) < 2:
            await log.append(used("acct-1", 1))
        stop.set()
    await fold_all(pool, MOST)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)


@pytest.mark.not_on_citus("a transaction takes one shard there, which its runner names")
async def test_two_runners_never_hold_the_same_shard(pool: Pool, log: EventLog) -> None:
    await log.append(*(used(f"acct-{number}", 1) for number in range(30)))
    async with pool.acquire() as one, one.transaction():
        first, more, _ = await FoldStore(pool, most_events=1).claim_shards(one)
        held = {r.shard for r in first}
        async with pool.acquire() as two, two.transaction():
            others = {r.shard for r in (await FoldStore(pool, most_events=MOST).claim_shards(two))[0]}
    assert len(held) == 1 and more
    assert held | others == set(range(SHARDS))
    assert not held & others


async def test_a_shard_that_a_runner_holds_is_claimed_by_no_other(pool: Pool, log: EventLog) -> None:
    await log.append(*(used(f"acct-{number}", 1) for number in range(30)))
    store = FoldStore(pool, most_events=MOST)
    async with pool.acquire() as one, one.transaction():
        assert [r.shard for r in (await store.claim_shards(one, only=1))[0]] == [1]
        async with pool.acquire() as two, two.transaction():
            held = [[r.shard for r in (await store.claim_shards(two, only=shard))[0]] for shard in range(SHARDS)]
    assert held == [[0], [], [2]]


async def test_it_is_told_whether_there_is_more_than_usage(pool: Pool, log: EventLog) -> None:
    """Else it would ask for other events each time."""
    await log.append(*opened("acct-1"))
    assert await fold_all(pool, MOST)
    await log.append(used("acct-1", 1))
    store, shard = FoldStore(pool, most_events=MOST), used("acct-1", 1).shard
    async with pool.acquire() as connection, connection.transaction():
        assert (await store.claim_shards(connection, only=shard))[2] is False
    await log.append(granted("acct-1", 5))
    async with pool.acquire() as connection, connection.transaction():
        assert (await store.claim_shards(connection, only=shard))[2] is True


@pytest.mark.not_on_citus("a transaction takes one shard there")
async def test_small_lags_of_all_shards_are_folded_together(pool: Pool, log: EventLog) -> None:
    await log.append(*(used(f"acct-{number}", 1) for number in range(30)))
    assert await fold_all(pool, most_events=30) == 1


async def test_it_is_known_whether_other_events_wait(pool: Pool, log: EventLog) -> None:
    """Of a shard that is taken in part, of shards that are left for later, of a later generation."""
    await log.append(*(used("acct-1", 1) for _ in range(5)))
    assert await fold_until_none_waits(pool, most_events=3) == [(3, True), (2, False)]
    await log.append(*(used(f"acct-{number}", 1) for number in range(30)))
    *rest, last = await fold_until_none_waits(pool, most_events=1)
    assert {more for _events, more in rest} == {True} and len(rest) == 29
    assert last == (1, False)
    await log.append(used("acct-1", 1))
    await pool.execute(NEW_GENERATION)
    await log.append(used("acct-1", 1), used("acct-1", 1))
    assert await fold_until_none_waits(pool, most_events=MOST) == [(1, True), (2, False)]


async def fold_until_none_waits(pool: Pool, *, most_events: int) -> list[tuple[int, bool]]:
    """Of each transaction how many events it folded, and whether others waited."""
    store, done = FoldStore(pool, most_events=most_events), []
    while (folded := await store.fold(plan)) is not None:
        done.append((folded.events, folded.more))
    return done


async def test_a_failure_before_commit_leaves_no_trace(pool: Pool, log: EventLog) -> None:
    await log.append(*random_history(seed=9))

    def fail(reading: Reading) -> FoldPlan:
        plan(reading)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await FoldStore(pool, most_events=MOST).fold(fail)
    for table in ("balance_states", "account_states", "outbox"):
        assert await pool.fetchval(f"SELECT count(*) FROM projections.{table}") == 0
    await fold_all(pool, MOST)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)


async def test_a_connection_killed_in_the_middle_repeats_nothing(pool: Pool, log: EventLog, dsn: str) -> None:
    await log.append(*random_history(seed=13))

    async def kill() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        await connection.close()

    def cut(reading: Reading) -> FoldPlan:
        thread = threading.Thread(target=asyncio.run, args=(kill(),))
        thread.start()
        thread.join()
        return plan(reading)

    store = FoldStore(pool, most_events=50)
    await store.fold(plan)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await store.fold(cut)
    await fold_all(pool, MOST)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)


async def test_a_hole_in_the_log_is_refused(pool: Pool, log: EventLog) -> None:
    await log.append(*(used("acct-1", 1) for _ in range(10)))
    shard = log.events[0].shard
    await lift_triggers(pool, "meter.events")
    await pool.execute("DELETE FROM meter.events WHERE shard = $1 AND position = 4", shard)
    with pytest.raises(LogDamagedError, match=f"shard {shard}: of the events at positions 1 to 10 only 9 of 10"):
        await fold_all(pool, MOST)
    assert await pool.fetchval("SELECT sum(position) FROM projections.cursors WHERE projection = 'balance'") == 0


async def test_an_event_of_a_newer_version_is_refused(pool: Pool, log: EventLog) -> None:
    await log.append(Event(account_id="acct-1", type=99))
    with pytest.raises(RefusalError, match="type code 99"):
        await fold_all(pool, MOST)


async def test_events_of_an_append_under_way_are_left_alone(pool: Pool, log: EventLog) -> None:
    await log.append(used("acct-1", 1))
    shard = log.events[0].shard
    async with pool.acquire() as writer, writer.transaction():
        await writer.execute("UPDATE meter.shards SET next_position = 900 WHERE shard = $1", shard)
        await fold_all(pool, MOST)
        async with pool.acquire() as connection:
            assert await fetch_position(connection, PROJECTION, shard) == 1
        await writer.execute("UPDATE meter.shards SET next_position = 2 WHERE shard = $1", shard)
