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
from tests.support.waiting import GIVEN_UP_S

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
        async with asyncio.timeout(GIVEN_UP_S):
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
