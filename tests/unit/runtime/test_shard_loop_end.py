"""A loop that ends, by a cancellation, a bug or a stop: it waits for its batches and for no more records."""

import asyncio
from typing import Any

import pytest

from meter.runtime.kafka import Batch
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within
from tests.unit.runtime.shard_loop_fakes import Consumer, Numbers, batch


async def test_a_cancelled_loop_waits_for_its_batches_and_raises_their_bugs() -> None:
    """The transaction would outlive the pool, and nobody would hear of the bug."""
    entered, gate = asyncio.Event(), asyncio.Event()

    class Waiting(Numbers):
        async def save(self, plan: int) -> int:
            entered.set()
            await gate.wait()
            raise KeyError("bug")

    consumer: Any = Consumer([batch(0)])
    loop = asyncio.create_task(
        ShardLoop(consumer, Waiting(), together=100, concurrency=2, health=Health()).run(consumer.stop)
    )
    async with asyncio.timeout(GIVEN_UP_S):
        await entered.wait()
        loop.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not loop.done()
        gate.set()
        with pytest.raises(KeyError):
            await loop


class Waiting(Consumer):
    """Nothing comes until it is woken."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked = asyncio.Event()

    async def receive(self) -> list[Batch]:
        self.asked.set()
        await self.woken.wait()
        return []


class OnceThenWaiting(Waiting):
    """One batch, and then nothing until it is woken."""

    async def receive(self) -> list[Batch]:
        if self.asked.is_set():
            return await super().receive()
        self.asked.set()
        return [batch(0)]


async def test_a_loop_that_ends_with_a_bug_waits_for_no_records() -> None:
    waiting: Any = OnceThenWaiting()
    loop = ShardLoop(waiting, Numbers({("plan", 0): KeyError("a bug")}), together=100, concurrency=2, health=Health())
    running = asyncio.create_task(loop.run(waiting.stop))
    with within(5):
        ended, _ = await asyncio.wait({running}, timeout=GIVEN_UP_S)
    assert ended
    with pytest.raises(KeyError):
        await running


async def test_a_loop_that_is_to_stop_waits_for_no_records() -> None:
    waiting: Any = Waiting()
    running = asyncio.create_task(
        ShardLoop(waiting, Numbers(), together=100, concurrency=2, health=Health()).run(waiting.stop)
    )
    async with asyncio.timeout(GIVEN_UP_S):
        await waiting.asked.wait()
        waiting.stop.set()
        await running
