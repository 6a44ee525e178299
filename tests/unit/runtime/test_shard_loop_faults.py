"""A shard whose batches fail again and again is a fault of the report, until one is stored or the shard is gone."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from meter.runtime.kafka import Batch
from meter.runtime.kafka.lag import PartitionLag
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop
from tests.unit.runtime.shard_loop_fakes import TOPIC, Consumer, Numbers, batch


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
