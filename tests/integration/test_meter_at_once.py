"""Small batches of usage in one statement: the same log as by the usual way, and nothing where that has to judge."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import asyncpg
import pytest

from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError
from meter.runtime.postgres import Executor, Pool, load_sql
from meter.store import at_once, events, together
from meter.store.events import PostgresEventStore
from schemas.topics import USAGE
from tests.contract.rows import MOMENT, opened, plan, rejected, usage
from tests.integration.tampering import find_damage
from tests.support import until

pytestmark = pytest.mark.not_on_citus("a statement takes one shard there: batches go the usual way")
SHARDS = 3
TABLES = ("events ORDER BY shard, position", "batches ORDER BY shard, batch", "shards ORDER BY shard")
UNUSUAL = {
    "name": "modèle 模型 🙂",
    "data": '{"credits": 0.25,  "model":"\\u0000"}',
    "extensions": '{"trace":"ä"}',
    "amount": 0,
    "resource": None,
}


@pytest.fixture
async def store(pool: Pool) -> PostgresEventStore:
    """Each shard with one batch, so that the store knows where the logs stand."""
    await pool.execute(load_sql("meter", "insert_shards"), SHARDS)
    store = PostgresEventStore(pool)
    for shard in range(SHARDS):
        await store.append(plan(usage(0), usage(1), shard=shard))
    return store


@pytest.fixture
def ways(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How batches were stored, or not, in order."""
    went: list[str] = []

    def noting(way: str, run: Callable[..., Any]) -> Callable[..., Any]:
        async def append(*args: Any) -> Any:
            done = await run(*args)
            went.append(way if done is not None else f"not {way}")
            return done

        return append

    for way, name in (("at once", "append_at_once"), ("alone", "append_batch"), ("together", "append_batches")):
        monkeypatch.setattr(events, name, noting(way, getattr(events, name)))
    return went


async def dump(connection: Executor | Pool) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in await connection.fetch(f"SELECT * FROM meter.{table}")] for table in TABLES]


async def check_chain(pool: Pool) -> None:
    async with pool.acquire() as proxy, proxy.transaction(isolation="repeatable_read"):
        assert await find_damage(cast("asyncpg.Connection", proxy), []) == []


def next_plans() -> list[AppendPlan]:
    """A UUID and another id, text beyond ASCII, nulls, a moment of each shard's own."""
    return [
        plan(usage(2, **UNUSUAL), usage(3, event_id="of shard 0"), shard=0, start=(2, 0), end=(4, 0)),
        plan(usage(2, amount=2**62), shard=2, start=(2, 0), end=(3, 0), at=MOMENT + timedelta(seconds=1)),
    ]


async def test_the_log_is_the_same_either_way(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    plans = next_plans()
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        usual = await together.append_batches(connection, plans)
        expected = await dump(connection)
        await transaction.rollback()
    assert await store.append_together(plans) == usual
    assert ways == ["at once"]
    assert await dump(pool) == expected
    await check_chain(pool)


async def test_one_batch_after_the_other(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    for n in range(2, 6):
        stored = await store.append(plan(usage(n), shard=1, start=(n, 0)))
        assert (stored.batch, stored.first_position, stored.stored) == (n, n + 1, 1)
    assert ways == ["at once"] * 4
    await check_chain(pool)


async def test_readers_are_woken(store: PostgresEventStore, ways: list[str], dsn: str) -> None:
    heard: list[str] = []
    listener = await asyncpg.connect(dsn)
    try:
        await listener.add_listener("meter_events", lambda *said: heard.append(str(said[-1])))
        await store.append_together(next_plans())
        async with asyncio.timeout(10):
            while len(heard) < 2:
                await listener.fetchval("SELECT 1")
    finally:
        await listener.close()
    assert ways == ["at once"]
    assert sorted(heard) == ["0", "2"]


@pytest.mark.parametrize(
    "what",
    [
        plan(opened(0, account_id="acc-9"), start=(2, 0)),
        plan(usage(2), rejected(USAGE, 3), start=(2, 0)),
        plan(usage(3), start=(2, 0)),
        plan(rejected(USAGE, 2), start=(2, 0)),
        plan(usage(2, event_id="twice"), usage(3, event_id="twice"), start=(2, 0)),
        plan(*(usage(n) for n in range(2, 3 + at_once.MOST_ROWS)), start=(2, 0)),
    ],
    ids=["an opening", "a rejection", "a gap", "no event", "a repeat", "many events"],
)
async def test_what_needs_more_goes_the_usual_way(
    store: PostgresEventStore, pool: Pool, ways: list[str], what: AppendPlan
) -> None:
    await store.append(what)
    assert ways == ["alone"]
    await check_chain(pool)


async def test_a_lot_of_bytes_goes_the_usual_way(store: PostgresEventStore, ways: list[str]) -> None:
    long = f'{{"model":"{"x" * (at_once.MOST_BYTES // 2)}"}}'
    await store.append(plan(usage(2, data=long), usage(3, data=long), start=(2, 0)))
    assert ways == ["not at once", "alone"]


async def test_a_known_event_is_judged_the_usual_way(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    known = str(await pool.fetchval("SELECT event_id FROM meter.event_log WHERE shard = 1 AND position = 1"))
    plans = [plan(usage(2), start=(2, 0)), plan(usage(2), usage(3, event_id=known), shard=1, start=(2, 0))]
    stored = await store.append_together(plans)
    assert stored is not None
    assert [(done.stored, done.duplicates) for done in stored] == [(1, 0), (1, 1)]
    await store.append(plan(usage(4), shard=1, start=(4, 0)))
    assert ways == ["not at once", "together", "at once"]
    await check_chain(pool)


async def test_an_event_that_the_index_alone_knows(
    store: PostgresEventStore, pool: Pool, ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it is stored while the statement waits for its snapshot to end: refused, and judged the usual way."""
    blind = load_sql("meter", "append_at_once").replace(
        "l.event_key = n.event_key", "l.event_key = n.event_key AND false"
    )
    monkeypatch.setattr(at_once, "sql", lambda _name: blind)
    known = str(await pool.fetchval("SELECT event_id FROM meter.event_log WHERE shard = 1 AND position = 1"))
    stored = await store.append(plan(usage(2), usage(3, event_id=known), shard=1, start=(2, 0)))
    assert (stored.stored, stored.duplicates) == (1, 1)
    assert ways == ["alone"]
    await check_chain(pool)


async def test_a_row_that_postgres_refuses(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    stored = await store.append(plan(usage(2), usage(3, name="\x00"), start=(2, 0)))
    assert (stored.stored, stored.rejected) == (1, 1)
    assert ways == ["alone"]
    await check_chain(pool)


@pytest.mark.parametrize(
    "change",
    [
        "usage_offset = 3",
        "accounts_offset = 1",
        "next_position = 4",
        "next_batch = 3",
        "head = sha256('another')",
        "generation = 2",
    ],
)
async def test_a_log_that_does_not_stand_there(
    store: PostgresEventStore, pool: Pool, ways: list[str], change: str
) -> None:
    """Whatever moved it: nothing of any of the shards is written by this statement."""
    before = await dump(pool)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(f"UPDATE meter.shards SET {change} WHERE shard = 2")
        changed = await dump(connection)
        heads = [store._heads[shard] for shard in (0, 2)]
        prepared = at_once.prepare(next_plans(), heads)
        assert prepared is not None
        assert await connection.fetch(load_sql("meter", "append_at_once"), *prepared.columns) == []
        assert await dump(connection) == changed
        await transaction.rollback()
    assert await dump(pool) == before


async def test_a_shard_that_another_locks(store: PostgresEventStore, pool: Pool, ways: list[str]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM meter.shards WHERE shard = 2 FOR UPDATE")
        async with asyncio.timeout(5):
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


async def test_a_lost_answer_is_settled_by_the_offsets(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose_answer(name: str) -> None:
        if name == "after_commit":
            raise ConnectionResetError("the answer was lost")

    monkeypatch.setattr(events, "fault_point", lose_answer)
    with pytest.raises(ConnectionResetError):
        await store.append(plan(usage(2), start=(2, 0)))
    monkeypatch.undo()
    with pytest.raises(OwnershipLostError):
        await store.append(plan(usage(2), start=(2, 0)))
    assert await store.fetch_offsets([USAGE], [0]) == {(USAGE, 0): 3}


async def test_a_cancelled_writer_waits_for_the_end(store: PostgresEventStore, pool: Pool, dsn: str) -> None:
    """A COMMIT that is cancelled while it waits for a standby is done on this server alone."""
    await pool.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$"
    )
    await pool.execute(
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON meter.batches DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION wait()"
    )
    holder = await asyncpg.connect(dsn)
    waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
    try:
        await holder.execute("SELECT pg_advisory_lock(77)")
        append = asyncio.create_task(store.append(plan(usage(2), start=(2, 0))))
        await until(lambda: holder.fetchval(waits), 10)
        append.cancel()
        await holder.fetchval("SELECT 1")
        assert not append.done()
    finally:
        await holder.close()
    with pytest.raises(asyncio.CancelledError):
        await append
    assert await store.fetch_offsets([USAGE], [0]) == {(USAGE, 0): 3}
