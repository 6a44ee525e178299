"""A consumer and a kind of work that do as they are told, for the one loop of all services."""

import asyncio
from collections.abc import Sequence
from typing import Any

from meter.runtime.kafka import Batch
from meter.runtime.kafka.lag import PartitionLag
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop
from schemas.records import Record

TOPIC = "numbers"


def batch(shard: int, size: int = 1) -> Batch:
    records = [Record(TOPIC, shard, offset, 0, None, b"", ()) for offset in range(size)]
    return Batch(shard, {TOPIC: records}, {TOPIC: 0}, {TOPIC: size})


class Consumer:
    """Hands out its batches once, then nothing; sets `stop` when it has nothing in flight any more."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = list(batches)
        self._in_flight = {one.shard for one in batches}
        self.stop = asyncio.Event()
        self.woken = asyncio.Event()
        self.advanced: list[int] = []
        self.acknowledged: list[int] = []
        self.rewound: list[int] = []

    async def receive(self) -> list[Batch]:
        await asyncio.sleep(0)
        batches, self._batches = self._batches, []
        return batches

    def wake(self) -> None:
        self.woken.set()

    def advance(self, batch: Batch) -> None:
        self.advanced.append(batch.shard)

    async def acknowledge(self, batches: Sequence[Batch]) -> None:
        self.acknowledged += [one.shard for one in batches]
        self._end({one.shard for one in batches})

    async def rewind(self, shards: Sequence[int]) -> None:
        self.rewound += shards
        self._end(set(shards))

    def _end(self, shards: set[int]) -> None:
        self._in_flight -= shards
        if not self._in_flight:
            self.stop.set()

    @property
    def assigned(self) -> frozenset[int]:
        return frozenset(range(10))

    def measure_lag(self) -> list[PartitionLag]:
        return []


class Numbers:
    """Plans are shards. `faults` maps (step, shard) to the error to raise there; shard -1 is the whole group."""

    name = "numbers"

    def __init__(self, faults: dict[tuple[str, int], Exception] | None = None, *, together: bool = True) -> None:
        self._faults = faults or {}
        self._together = together
        self.saved: list[int] = []
        self.groups: list[list[int]] = []
        self.noted: list[int] = []

    def _fail(self, step: str, shard: int) -> None:
        if (step, shard) in self._faults:
            raise self._faults[step, shard]

    async def plan(self, batches: Sequence[Batch]) -> list[int]:
        for one in batches:
            self._fail("plan", one.shard)
        return [one.shard for one in batches]

    async def save(self, plan: int) -> int:
        self._fail("save", plan)
        self.saved.append(plan)
        return plan

    async def save_together(self, plans: Sequence[int]) -> list[int] | None:
        self._fail("save_together", -1)
        if not self._together:
            return None
        for plan in plans:
            self._fail("save", plan)
        self.groups.append(list(plans))
        self.saved += plans
        return list(plans)

    def note(self, batch: Batch, plan: int, saved: int) -> None:
        assert batch.shard == plan == saved
        self.noted.append(plan)


async def run(work: Numbers, batches: Sequence[Batch]) -> Consumer:
    consumer = Consumer(batches)
    any_consumer: Any = consumer
    loop = ShardLoop(any_consumer, work, together=100, concurrency=2, health=Health())
    try:
        async with asyncio.timeout(30):
            await loop.run(consumer.stop)
    finally:
        work.consumer = consumer  # type: ignore[attr-defined]
    return consumer


def consumer_of(work: Numbers) -> Consumer:
    consumer: Consumer = work.consumer  # type: ignore[attr-defined]
    return consumer
