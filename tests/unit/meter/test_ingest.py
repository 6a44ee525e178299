"""The loop with a consumer and a store that do as they are told: what happens to a batch when something fails."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from meter.allowance import Allowance
from meter.ingest import Ingest
from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError
from meter.runtime.kafka import Batch
from meter.runtime.kafka.lag import PartitionLag
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop
from meter.store.port import Appended
from schemas.records import Limits
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import MOMENT, record
from tests.support import until


class FixedClock:
    def now(self) -> datetime:
        return MOMENT


class ScriptedConsumer:
    """Hands out one batch per shard at a time, as ShardConsumer does, and notes what it is told."""

    def __init__(self, store: MemoryEventStore, shards: int, last: int) -> None:
        self._store, self._last = store, last
        self._next = dict.fromkeys(range(shards), 0)
        self._busy: set[int] = set()
        self.rewound: list[int] = []
        self.acknowledged: list[tuple[int, int]] = []
        self.assigned = frozenset(range(shards))

    async def receive(self) -> list[Batch]:
        await asyncio.sleep(0)
        ready = [shard for shard, n in self._next.items() if shard not in self._busy and n < self._last]
        self._busy.update(ready)
        return [self._batch(shard, self._next[shard]) for shard in ready]

    def _batch(self, shard: int, offset: int) -> Batch:
        broken = record(USAGE, offset, value=b"{", partition=shard)  # what becomes of it is not the point here
        start, end = {USAGE: offset, ACCOUNTS: 0}, {USAGE: offset + 1, ACCOUNTS: 0}
        return Batch(shard, {USAGE: [broken], ACCOUNTS: []}, start, end)

    def wake(self) -> None:
        """It never waits."""

    def advance(self, batch: Batch) -> None:
        self._next[batch.shard] = batch.end[USAGE]
        self._busy.discard(batch.shard)

    async def rewind(self, shards: list[int]) -> None:
        for shard in shards:
            self.rewound.append(shard)
            self._next[shard] = (await self._store.fetch_offsets([USAGE], [shard]))[USAGE, shard]
            self._busy.discard(shard)

    async def acknowledge(self, batches: list[Batch]) -> None:
        self.acknowledged += [(batch.shard, batch.end[USAGE]) for batch in batches]

    def measure_lag(self) -> list[PartitionLag]:
        return []


class FailingStore(MemoryEventStore):
    """Fails as `fault` says: called with the shard and the number of this append, it raises or does not."""

    def __init__(self, shards: int, fault: Callable[[int, int], None], *, after: bool = False) -> None:
        super().__init__(shards)
        self._fault, self._after = fault, after
        self.appends = 0

    async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        return None  # each on its own, where the fault meets it

    async def append(self, plan: AppendPlan) -> Appended:
        self.appends += 1
        number = self.appends
        if not self._after:
            self._fault(plan.shard, number)
        appended = await super().append(plan)
        if self._after:
            self._fault(plan.shard, number)
        return appended


Loop = ShardLoop[AppendPlan, Appended]


def make(store: MemoryEventStore, shards: int = 2, last: int = 3) -> tuple[Loop, ScriptedConsumer]:
    consumer: Any = ScriptedConsumer(store, shards, last)
    health = Health()
    ingest = Ingest(
        store, clock=FixedClock(), limits=Limits(partitions=shards), allowance=Allowance(), metrics=health.metrics
    )
    return ShardLoop(consumer, ingest, together=2_000, concurrency=2, health=health), consumer


async def run_until(ingest: Loop, condition: Callable[[], bool]) -> None:
    stop = asyncio.Event()
    loop = asyncio.create_task(ingest.run(stop))
    try:
        await until(lambda: condition() or loop.done())
    finally:
        stop.set()
        await loop


def fail_once(at: int, error: Exception) -> Callable[[int, int], None]:
    def fault(shard: int, number: int) -> None:
        if number == at:
            raise error

    return fault


@pytest.mark.parametrize(
    "error", [ConnectionResetError("gone"), TimeoutError(), OwnershipLostError("taken")], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("after", [False, True], ids=["before commit", "after commit"])
async def test_after_a_passing_fault_the_shard_goes_on_from_the_stored_offset(error: Exception, after: bool) -> None:
    """Also where the batch was stored and only the answer was lost: it is not appended again."""
    store = FailingStore(2, fail_once(2, error), after=after)
    ingest, consumer = make(store)
    await run_until(ingest, lambda: all(len(store.log(shard).rejections) == 3 for shard in (0, 1)))
    assert len(consumer.rewound) == 1
    for shard in (0, 1):
        assert [offset for _, offset, _ in store.log(shard).rejections] == [0, 1, 2]


@pytest.mark.parametrize("after", [False, True], ids=["before commit", "after commit"])
async def test_after_a_passing_fault_of_several_shards_each_goes_on_from_its_stored_offset(after: bool) -> None:
    class FailingOnce(MemoryEventStore):
        failed = False

        async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
            failing, self.failed = not self.failed, True
            if failing and not after:
                raise ConnectionResetError("gone")
            appended = await super().append_together(plans)
            if failing:
                raise ConnectionResetError("gone")
            return appended

    store = FailingOnce(3)
    ingest, consumer = make(store, shards=3)
    await run_until(ingest, lambda: all(len(store.log(shard).rejections) == 3 for shard in range(3)))
    assert sorted(consumer.rewound) == [0, 1, 2]
    for shard in range(3):
        assert [offset for _, offset, _ in store.log(shard).rejections] == [0, 1, 2]


async def test_a_lost_shard_does_not_hold_up_those_it_came_with() -> None:
    class LosingOne(MemoryEventStore):
        alone = 0

        async def append(self, plan: AppendPlan) -> Appended:
            self.alone += 1
            if plan.shard == 1:
                raise OwnershipLostError("taken")
            return await super().append(plan)

    store = LosingOne(3)
    ingest, consumer = make(store, shards=3)
    await run_until(ingest, lambda: all(len(store.log(shard).rejections) == 3 for shard in (0, 2)))
    assert set(consumer.rewound) == {1}
    assert store.log(1).rejections == []


async def test_one_shard_that_fails_holds_no_other_up() -> None:
    def fault(shard: int, number: int) -> None:
        if shard == 0:
            raise ConnectionResetError

    store = FailingStore(2, fault)
    ingest, consumer = make(store)
    await run_until(ingest, lambda: len(store.log(1).rejections) == 3 and len(consumer.rewound) > 3)
    assert store.log(0).rejections == []
    assert {shard for shard, _ in consumer.acknowledged} == {1}


async def test_a_bug_ends_the_loop_and_acknowledges_nothing_of_its_batch() -> None:
    def fault(shard: int, number: int) -> None:
        if shard == 0:
            raise KeyError("bug")

    store = FailingStore(2, fault)
    ingest, consumer = make(store)
    with pytest.raises(KeyError):
        await run_until(ingest, lambda: False)
    assert all(shard == 1 for shard, _ in consumer.acknowledged)


@pytest.mark.parametrize("where", ["together", "together and singly", "singly"])
async def test_a_bug_in_one_shard_ends_the_loop_after_the_others_of_its_group_are_stored(where: str) -> None:
    class Bugged(FailingStore):
        async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
            if where == "singly":
                return None
            raise KeyError("bug")

    def fault(shard: int, number: int) -> None:
        if shard == 0 and where != "together":
            raise KeyError("bug")

    store = Bugged(3, fault)
    ingest, consumer = make(store, shards=3)
    with pytest.raises(KeyError):
        await run_until(ingest, lambda: False)
    stored = {shard for shard, _ in consumer.acknowledged}
    assert stored == ({0, 1, 2} if where == "together" else {1, 2})


async def test_batches_under_way_are_finished_when_it_stops() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    class WaitingStore(MemoryEventStore):
        async def append(self, plan: AppendPlan) -> Appended:
            entered.set()
            await gate.wait()
            return await super().append(plan)

    store = WaitingStore(1)
    ingest, consumer = make(store, shards=1)
    stop = asyncio.Event()
    loop = asyncio.create_task(ingest.run(stop))
    await entered.wait()
    stop.set()
    await asyncio.sleep(0)
    assert not loop.done()
    gate.set()
    await loop
    assert consumer.acknowledged == [(0, 1)]


async def test_kafka_is_told_only_what_is_stored() -> None:
    store = MemoryEventStore(2)
    ingest, consumer = make(store)
    await run_until(ingest, lambda: len(consumer.acknowledged) == 6)
    assert sorted(consumer.acknowledged) == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
