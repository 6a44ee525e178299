"""Blanking refused records: in portions, beside the loop, and none is missed that was being refused meanwhile."""

import asyncio
import random
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from meter import forgetting
from meter.blanking import Refused, blank_all
from meter.forgetting import Forgetting, blank_rejections, find_appending
from meter.packing import unpack
from meter.runtime.kafka import Message
from meter.runtime.postgres import Pool, load_sql, write_transaction
from meter.runtime.process.health import Health
from meter.sealing import FORGOTTEN_CODE
from meter.store.batches import append_batch, copy_rows
from meter.store.events import PostgresEventStore
from schemas.reasons import Reason
from schemas.topics import USAGE
from tests.contract.rows import opened, plan, rejected

BATCHES, RECORDS, BYTES = 6, 4, 30_000
ACCOUNT = b'{"subject":"acc-1"}'
NOISE = random.Random(7)


@pytest.fixture
async def store(pool: Pool) -> PostgresEventStore:
    await pool.execute(load_sql("meter", "insert_shards"), 2)
    return PostgresEventStore(pool)


class Portions:
    """A pool that notes how many bytes each answer has."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.bytes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, *arguments: Any) -> list[Any]:
        rows: list[Any] = await self._pool.fetch(*arguments)
        self.bytes.append(sum(len(row["value"] or b"") for row in rows if "value" in row))
        return rows


async def refuse(store: PostgresEventStore, *, room: int | None) -> int:
    """Batches of refused records that do not pack; in each the last names the account. How many rows there are."""
    for number in range(BATCHES):
        records = [
            rejected(
                USAGE, number * RECORDS + place, key=b"k", reason=Reason.NOT_JSON,
                value=NOISE.randbytes(BYTES) + (ACCOUNT if place == RECORDS - 1 else b""),
            )
            for place in range(RECORDS)
        ]  # fmt: skip
        await store.append(plan(*records, start=(number * RECORDS, 0), room=room))
    return BATCHES if room == 0 else BATCHES * RECORDS


async def forget(store: PostgresEventStore, offset: int = 0) -> None:
    event = opened(offset, type=FORGOTTEN_CODE, name="asked", data='{"reason":"asked"}')
    offsets = await store.fetch_offsets([USAGE], [0])
    await store.append(plan(event, start=(offsets[USAGE, 0], offset)))


@pytest.mark.parametrize("room", [None, 0], ids=["one by one", "packed"])
@pytest.mark.parametrize("most_rows", [2, 1_000])
@pytest.mark.parametrize("most_bytes", [1, 3 * RECORDS * BYTES])
async def test_refused_records_are_looked_at_in_portions(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch, room: int | None, most_rows: int,
    most_bytes: int,
) -> None:  # fmt: skip
    """However many there are: a flood that is packed has a MiB in each row, and all rows came at once."""
    monkeypatch.setattr(forgetting, "LOOKED_ROWS", most_rows, raising=False)
    monkeypatch.setattr(forgetting, "LOOKED_BYTES", most_bytes, raising=False)
    rows = await refuse(store, room=room)
    await forget(store)
    largest = await pool.fetchval("SELECT max(octet_length(value)) FROM meter.rejections")
    portions: Any = Portions(pool)
    assert await blank_rejections(portions, "acc-1") == BATCHES
    assert max(portions.bytes) <= max(most_bytes, largest)
    assert len(portions.bytes) >= rows / most_rows
    for row in await pool.fetch("SELECT value, offsets IS NOT NULL AS packed FROM meter.rejections"):
        records = unpack(USAGE, 0, row["value"]) if row["packed"] else ()
        assert ACCOUNT not in b"".join(record.value or b"" for record in records) + (row["value"] or b"")
    assert await blank_rejections(pool, "acc-1") == 0


async def test_they_are_unpacked_beside_the_loop(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds of work in the loop would hold up heartbeats, and another process would take the shards over."""
    threads: list[threading.Thread] = []

    def note(rows: Iterable[Refused], account_id: str) -> list[Refused]:
        threads.append(threading.current_thread())
        return blank_all(rows, account_id)

    monkeypatch.setattr(forgetting, "blank_all", note)
    await refuse(store, room=0)
    await forget(store)
    await blank_rejections(pool, "acc-1")
    assert threads and threading.main_thread() not in threads


class Listed:
    """What is published."""

    async def publish(self, _messages: list[Message]) -> None: ...


async def is_cleared(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT cleared_at IS NOT NULL FROM meter.keys WHERE account_id = 'acc-1'"))


async def test_a_record_that_is_being_refused_meanwhile_is_not_missed(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is taken, and the record is not to be seen before its batch is committed: then nobody would look."""
    monkeypatch.setattr(forgetting, "APPEND_PAUSE_S", 0.001, raising=False)
    producer: Any = Listed()
    loop = Forgetting(pool, producer, lambda: [0, 1], Health())
    await forget(store)
    async with pool.acquire() as connection, write_transaction(connection):
        refused = plan(rejected(USAGE, 0, key=b"elsewhere", value=ACCOUNT), shard=1)
        await append_batch(connection, refused, copy_rows)
        await loop.forget_all()
        assert not await is_cleared(pool)
    await loop.forget_all()
    assert await is_cleared(pool)
    assert await pool.fetchval("SELECT value FROM meter.rejections") is None


async def test_appends_that_begin_later_hold_nobody_up(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy log there is always one: only those of the beginning are waited for."""
    looked = asyncio.Event()

    async def look(pool: Pool) -> set[str]:
        found = await find_appending(pool)
        looked.set()
        return found

    monkeypatch.setattr(forgetting, "APPEND_PAUSE_S", 0.01)
    monkeypatch.setattr(forgetting, "find_appending", look)
    async with pool.acquire() as first, pool.acquire() as second:
        before = first.transaction()
        await before.start()
        await append_batch(first, plan(rejected(USAGE, 0)), copy_rows)
        waiting = asyncio.create_task(forgetting.wait_for_appends(pool, asyncio.Event()))
        await looked.wait()
        async with write_transaction(second):
            await append_batch(second, plan(rejected(USAGE, 0), shard=1), copy_rows)
            assert not waiting.done()
            await before.commit()
            assert await waiting
            assert await find_appending(pool)
    assert await forgetting.wait_for_appends(pool, asyncio.Event())
