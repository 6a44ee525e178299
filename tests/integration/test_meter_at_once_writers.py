"""Writers that send small batches as one statement: others at the same shards, answers that are lost, cancellation."""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import asyncio

import asyncpg
import pytest

from meter.runtime.postgres import Pool, load_sql
from meter.store import at_once
from meter.store.events import PostgresEventStore
from schemas.topics import USAGE
from tests.contract.rows import plan, usage
from tests.integration.test_meter_at_once import check_chain, next_plans, store, ways  # noqa: F401  # fixtures
from tests.support import until
from tests.support.held_commits import hold_commits
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within

pytestmark = pytest.mark.not_on_citus("a statement takes one shard there: batches go the usual way")
WAITS = """
SELECT count(*) = 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
"""


async def test_a_shard_that_another_locks(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM meter.shards WHERE shard = 2 FOR UPDATE")
        with within(5):
            async with asyncio.timeout(GIVEN_UP_S):
                assert await store.append_together(next_plans()) is None
    assert ways == ["not at once"]
    assert await store.append_together(next_plans()) is not None
    await check_chain(pool)


async def test_two_writers_of_one_shard(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    """Both know where the log stands, and push the same offsets: one wins each time, and nothing is stored twice."""
    other = PostgresEventStore(pool)
    other._heads |= store._heads
    for n in range(2, 30):
        made = [plan(usage(n), start=(n, 0)) for _ in range(2)]
        done = await asyncio.gather(store.append(made[0]), other.append(made[1]), return_exceptions=True)
        assert sorted(type(each).__name__ for each in done) == ["Appended", "OwnershipLostError"]
        [won] = [each for each in done if not isinstance(each, BaseException)]
        for each in (store, other):
            each._keep_heads([won])
    offsets = [row[0] for row in await pool.fetch("SELECT kafka_offset FROM meter.events WHERE shard = 0 ORDER BY 1")]
    assert offsets == list(range(30))
    assert "at once" in ways
    await check_chain(pool)


ASKED = "), expected AS MATERIALIZED ("
HELD_UP = "), held AS MATERIALIZED (SELECT pg_advisory_xact_lock(78)" + ASKED


@pytest.mark.parametrize(
    ("change", "stored"), [("next_batch = next_batch + 1", None), ("next_batch = next_batch", [2, 1])],
    ids=["moved", "another version of the row"],
)  # fmt: skip
async def test_a_log_that_moves_between_the_snapshot_and_the_lock(
    store: PostgresEventStore,
    pool: Pool,
    ways: list[str],
    monkeypatch: pytest.MonkeyPatch,
    dsn: str,
    change: str,
    stored: list[int] | None,
) -> None:
    """The statement reads what was, and locks what is."""
    real = load_sql("meter", "append_at_once")
    held_up = real.replace(ASKED, HELD_UP).replace("    FROM asked a\n", "    FROM held\n    CROSS JOIN asked a\n")
    monkeypatch.setattr(at_once, "sql", lambda _name: held_up)
    other = await asyncpg.connect(dsn)
    try:
        await other.execute("SELECT pg_advisory_lock(78)")
        heads = [store._heads[shard] for shard in (0, 2)]
        async with pool.acquire() as connection:
            appending = asyncio.create_task(at_once.append_at_once(connection, next_plans(), heads))
            await until(lambda: other.fetchval(WAITS))
            await other.execute(f"UPDATE meter.shards SET {change} WHERE shard = 2")
            await other.execute("SELECT pg_advisory_unlock(78)")
            appended = await appending
    finally:
        await other.close()
    assert (None if appended is None else [done.stored for done in appended]) == stored
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == (6 if stored is None else 9)


async def test_without_its_fence_offsets_would_be_stored_twice(
    store: PostgresEventStore, pool: Pool, ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the test above: with the head alone, which is not asked here, a second writer gets in."""
    real = load_sql("meter", "append_at_once")
    start, end = real.index("    WHERE s.usage_offset"), real.index("    FOR UPDATE OF s")
    monkeypatch.setattr(at_once, "sql", lambda _name: real[:start] + real[end:])
    heads = dict(store._heads)
    await store.append(plan(usage(2), start=(2, 0)))
    store._heads |= {0: heads[0]._replace(next_position=4, next_batch=3)}
    await store.append(plan(usage(2), start=(2, 0)))
    offsets = [row[0] for row in await pool.fetch("SELECT kafka_offset FROM meter.events WHERE shard = 0 ORDER BY 1")]
    assert offsets == [0, 1, 2, 2]


async def test_a_cancelled_writer_waits_for_the_end(store: PostgresEventStore, pool: Pool, dsn: str) -> None:
    """A COMMIT that is cancelled while it waits for a standby is done on this server alone."""
    async with hold_commits(pool, dsn) as holder:
        append = asyncio.create_task(store.append(plan(usage(2), start=(2, 0))))
        await until(lambda: holder.fetchval(WAITS))
        append.cancel()
        await holder.fetchval("SELECT 1")
        assert not append.done()
    with pytest.raises(asyncio.CancelledError):
        await append
    assert await store.fetch_offsets([USAGE], [0]) == {(USAGE, 0): 3}
