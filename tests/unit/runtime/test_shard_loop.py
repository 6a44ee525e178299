"""The one loop of all services, with a consumer and a kind of work that do as they are told."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import pytest

from meter.runtime.errors import OwnershipLostError
from meter.runtime.kafka import Batch
from meter.runtime.kafka.lag import PartitionLag
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop, group_small
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


async def test_small_batches_are_saved_together_and_acknowledged() -> None:
    work = Numbers()
    consumer = await run(work, [batch(0), batch(1), batch(2, size=101)])
    assert work.groups == [[0, 1]]
    assert sorted(work.saved) == sorted(work.noted) == sorted(consumer.acknowledged) == [0, 1, 2]
    assert consumer.rewound == []


async def test_where_they_cannot_be_saved_together_each_is_saved_alone() -> None:
    work = Numbers(together=False)
    consumer = await run(work, [batch(0), batch(1)])
    assert work.groups == []
    assert sorted(consumer.acknowledged) == [0, 1]


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError(), OwnershipLostError("taken")], ids=repr)
async def test_after_a_transient_error_of_a_group_all_of_it_is_read_again(error: Exception) -> None:
    consumer = await run(Numbers({("save_together", -1): error}), [batch(0), batch(1)])
    assert sorted(consumer.rewound) == [0, 1]
    assert consumer.advanced == consumer.acknowledged == []


async def test_after_a_transient_error_of_one_shard_the_others_are_saved() -> None:
    work = Numbers({("save", 1): ConnectionResetError("gone")}, together=False)
    consumer = await run(work, [batch(0), batch(1), batch(2)])
    assert consumer.rewound == [1]
    assert sorted(consumer.acknowledged) == [0, 2]


@pytest.mark.parametrize("step", ["plan", "save"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_bug_in_one_shard_ends_the_loop_after_the_others_of_its_group_are_saved(
    step: str, together: bool
) -> None:
    work = Numbers({(step, 1): KeyError("bug")}, together=together)
    with pytest.raises(KeyError):
        await run(work, [batch(0), batch(1), batch(2)])
    assert sorted(consumer_of(work).acknowledged) == [0, 2]
    assert consumer_of(work).rewound == []


async def test_a_bug_that_strikes_only_the_group_ends_the_loop_after_all_are_saved() -> None:
    """Swallowed, it would strike again and again, and nobody would know."""
    work = Numbers({("save_together", -1): KeyError("bug")})
    with pytest.raises(KeyError):
        await run(work, [batch(0), batch(1)])
    assert sorted(consumer_of(work).acknowledged) == [0, 1]


async def test_a_bug_beside_a_transient_error_is_raised_all_the_same() -> None:
    work = Numbers({("save", 0): ConnectionResetError("gone"), ("save", 1): KeyError("bug")}, together=False)
    with pytest.raises(KeyError):
        await run(work, [batch(0), batch(1), batch(2)])
    assert (consumer_of(work).rewound, consumer_of(work).acknowledged) == ([0], [2])


def test_small_batches_share_a_transaction_and_large_ones_do_not() -> None:
    groups = group_small([batch(0, 3), batch(1, 100), batch(2, 101), batch(3, 5)], 100)
    assert [[one.shard for one in group] for group in groups] == [[0, 3], [1], [2]]
    assert group_small([], 100) == []


async def test_a_bug_in_a_note_ends_the_loop_after_the_others_are_saved() -> None:
    class Misnoted(Numbers):
        def note(self, batch: Batch, plan: int, saved: int) -> None:
            if plan == 0:
                raise KeyError("bug")
            super().note(batch, plan, saved)

    for together in (True, False):
        work = Misnoted(together=together)
        with pytest.raises(KeyError):
            await run(work, [batch(0), batch(1), batch(2)])
        assert sorted(consumer_of(work).advanced) == [0, 1, 2]
        assert sorted(work.noted) == [1, 2]


async def test_a_shard_of_a_failed_group_shares_no_transaction_until_it_is_saved() -> None:
    """A group that forms again would fail again, for the others of it too."""

    class Refilled(Consumer):
        rounds = 0

        async def receive(self) -> list[Batch]:
            await asyncio.sleep(0)
            if self._in_flight:
                return []
            self.rounds += 1
            if self.rounds == 4:
                self.stop.set()
                return []
            self._in_flight = {0, 1}
            return [batch(0), batch(1)]

        def _end(self, shards: set[int]) -> None:
            self._in_flight -= shards

    class FailingTogether(Numbers):
        async def save_together(self, plans: Sequence[int]) -> list[int] | None:
            if not self.saved:
                raise ConnectionResetError("gone")
            return await super().save_together(plans)

    work, consumer = FailingTogether(), Refilled([])
    any_consumer: Any = consumer
    async with asyncio.timeout(30):
        await ShardLoop(any_consumer, work, together=100, concurrency=2, health=Health()).run(consumer.stop)
    assert sorted(consumer.rewound) == [0, 1]
    assert sorted(work.saved) == [0, 0, 1, 1]
    assert work.groups == [[0, 1]]


class ReadAgain(Consumer):
    """Shard 0 has a record until it is stored. `then`, at the reading of that number, says what changes; None: stop."""

    def __init__(self, then: dict[int, Callable[[], None]]) -> None:
        super().__init__([])
        self._then = then
        self._last = max(then)
        self.readings = 0
        self.held = frozenset({0})
        self.left = 1

    async def receive(self) -> list[Batch]:
        await asyncio.sleep(0)
        if self._in_flight:
            return []
        self.readings += 1
        if (change := self._then.get(self.readings)) is not None:
            change()
        if self.readings > self._last:
            self.stop.set()
        if self.stop.is_set() or not self.left or not self.held:
            return []
        self._in_flight = {0}
        return [batch(0)]

    @property
    def assigned(self) -> frozenset[int]:
        return self.held

    def measure_lag(self) -> list[PartitionLag]:
        return [PartitionLag(TOPIC, shard, 0, self.left, self.left, self.left) for shard in self.held]

    def _end(self, shards: set[int]) -> None:
        self._in_flight -= shards


READ_ONLY = asyncpg.ReadOnlySQLTransactionError("cannot execute UPDATE in a read-only transaction")


async def follow_faults(work: Numbers, then: dict[int, Callable[[ReadAgain], None]]) -> dict[int, dict[str, str]]:
    """The faults of the report before each reading."""
    health, seen = Health(), dict[int, dict[str, str]]()

    def note() -> None:
        seen[consumer.readings] = dict(health.report()["faults"])  # type: ignore[call-overload]
        if (change := then.get(consumer.readings)) is not None:
            change(consumer)

    consumer: Any = ReadAgain(dict.fromkeys(range(1, max(then) + 1), note))
    async with asyncio.timeout(30):
        await ShardLoop(consumer, work, together=100, concurrency=2, health=health).run(consumer.stop)
    return seen


async def test_a_shard_that_is_read_again_for_the_third_time_is_a_fault_until_it_is_stored() -> None:
    """A server that takes no writes answers, so nothing else says that nothing goes on."""
    faults: dict[tuple[str, int], Exception] = {("save", 0): READ_ONLY}
    seen = await follow_faults(Numbers(faults), {5: lambda _consumer: faults.clear(), 6: lambda _consumer: None})
    assert [sorted(seen[reading]) for reading in range(1, 7)] == [[], [], [], *[["numbers, shard 0"]] * 2, []]
    [reason] = seen[4].values()
    assert "cannot execute UPDATE in a read-only transaction" in reason
    assert "default_transaction_read_only" in reason and "METERING_POSTGRES_DSN" in reason


async def test_a_shard_that_was_stored_in_between_is_no_fault() -> None:
    faults: dict[tuple[str, int], Exception] = {("save", 0): READ_ONLY}

    def fail(_consumer: ReadAgain) -> None:
        faults["save", 0] = READ_ONLY

    seen = await follow_faults(
        Numbers(faults), {3: lambda _consumer: faults.clear(), 4: fail, 6: lambda _consumer: None}
    )
    assert set(map(len, seen.values())) == {0}


@pytest.mark.parametrize("settled", [{"held": frozenset()}, {"left": 0}], ids=str)
async def test_a_fault_ends_where_another_process_has_the_shard_or_nothing_is_left_of_it(settled: Any) -> None:
    """A COMMIT without a reply may have been done: no batch comes any more that would be stored."""

    def settle(consumer: ReadAgain) -> None:
        vars(consumer).update(settled)

    seen = await follow_faults(Numbers({("save", 0): ConnectionResetError("gone")}), {4: settle, 5: lambda _: None})
    assert (len(seen[4]), seen[5]) == (1, {})


async def test_too_few_results_for_a_group_are_a_bug() -> None:
    class Forgetful(Numbers):
        async def save_together(self, plans: Sequence[int]) -> list[int] | None:
            return list(plans)[:-1]

    with pytest.raises(ValueError, match="shorter"):
        await run(Forgetful(), [batch(0), batch(1)])


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
    ended, _ = await asyncio.wait({running}, timeout=5)
    assert ended
    with pytest.raises(KeyError):
        await running


async def test_a_loop_that_is_to_stop_waits_for_no_records() -> None:
    waiting: Any = Waiting()
    running = asyncio.create_task(
        ShardLoop(waiting, Numbers(), together=100, concurrency=2, health=Health()).run(waiting.stop)
    )
    await waiting.asked.wait()
    waiting.stop.set()
    async with asyncio.timeout(30):
        await running
