"""ShardConsumer after faults of the client, of the store and of the group: nothing lost, nothing twice."""

from typing import Any

import pytest
from aiokafka import errors as kafka_errors

from meter.runtime.errors import DependencyUnreachableError, TransientError
from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.partition_buffer import Offered, PartitionBuffer
from meter.runtime.settings import Settings
from schemas.topics import USAGE
from tests.integration.runtime_faults import aiokafka_of, end_fetch_task, fail_next_rejoin
from tests.integration.runtime_ledger import Ledger, drain, fill, joined, read_ends, step
from tests.support import until


class LossyPoll:
    """getmany that drains what there is and then fails, as it does when a later partition is corrupt."""

    def __init__(self, consumer: ShardConsumer, error: Exception) -> None:
        self.inner = aiokafka_of(consumer)
        self.getmany = self.inner.getmany
        self.error = error
        self.swallowed = 0
        self.inner.getmany = self.fail

    async def fail(self, *partitions: TopicPartition, **options: Any) -> Any:
        drained = await self.getmany(*partitions, **options)
        if not drained:
            return drained
        self.swallowed += sum(map(len, drained.values()))
        self.inner.getmany = self.getmany
        raise self.error


@pytest.mark.parametrize("error", [kafka_errors.CorruptRecordException("crc"), kafka_errors.OffsetOutOfRangeError({})])
async def test_records_drained_before_a_failure_are_read_again(topics: Settings, error: Exception) -> None:
    await fill(topics, 400)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        lossy = LossyPoll(consumer, error)
        with pytest.raises(DependencyUnreachableError):
            await drain(consumer, ledger, 400)
        assert lossy.swallowed > 0
        await drain(consumer, ledger, 400)
    ledger.check(await read_ends(topics))


async def test_without_the_seek_back_the_oracle_sees_the_loss(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same failure with both defences off: the test above would fail."""

    def trust(buffer: PartitionBuffer, raw: Any, _fetch_offset: int) -> Offered:
        buffer._append(buffer._complete(raw))
        buffer.next = raw[-1].offset + 1
        return Offered.TAKEN

    monkeypatch.setattr(ShardConsumer, "_recover", lambda *_: None)
    monkeypatch.setattr(PartitionBuffer, "offer", trust)
    await fill(topics, 400)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        LossyPoll(consumer, kafka_errors.CorruptRecordException("crc"))
        with pytest.raises(DependencyUnreachableError):
            await drain(consumer, ledger, 400)
        await fill(topics, 400, start=400)
        while ledger.next.get((USAGE, 0), 0) < (await read_ends(topics))[USAGE][0]:
            await step(consumer, ledger)
    with pytest.raises(AssertionError, match=r"metering\.usage"):
        ledger.check(await read_ends(topics))


async def test_a_skipped_run_is_fetched_again(topics: Settings) -> None:
    await fill(topics, 400)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, 400)
        await fill(topics, 400, start=400)
        for tp, buffer in consumer._buffers.partitions.items():
            if tp.topic == topics.topic(USAGE):
                consumer._started.seek(tp, buffer.next + 5)
        await drain(consumer, ledger, 800)
    ledger.check(await read_ends(topics))


async def test_a_store_that_fails_on_assignment_delays_and_loses_nothing(topics: Settings) -> None:
    await fill(topics, 200)
    ledger = Ledger()
    ledger.failures = [ConnectionResetError("postgres went away"), TimeoutError()]
    async with joined(topics, ledger) as consumer:
        for kind in (ConnectionResetError, TimeoutError):
            with pytest.raises(kind):
                await consumer.receive()
            assert consumer.lag() > 0, "shards that wait for their position are waiting work"
        await drain(consumer, ledger, 200)
    ledger.check(await read_ends(topics))


@pytest.mark.needs_kafka("a group that takes a second member in while the first does not poll")
async def test_a_zombies_batch_is_fenced_and_without_the_fence_the_oracle_sees_it(topics: Settings) -> None:
    await fill(topics, 300)
    for fence in (True, False):
        ledger = Ledger(fence=fence)
        async with joined(topics, ledger) as zombie:
            held: list[Batch] = []
            while sum(batch.size for batch in held) < 300:
                held += await zombie.receive()
            async with joined(topics, ledger) as heir:
                while not heir.assigned:
                    await heir.receive()
                mine = heir.assigned
                while not all(ledger.next.get((USAGE, shard), 0) for shard in mine):
                    await step(heir, ledger)
                refused = 0
                for batch in held:
                    if batch.shard in mine:
                        try:
                            ledger.append(batch)
                        except TransientError:
                            refused += 1
        doubled = any(len(set(offsets)) < len(offsets) for offsets in ledger.stored.values())
        assert (refused > 0, doubled) == (fence, not fence)


async def test_a_dead_fetch_task_is_noticed(topics: Settings) -> None:
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await step(consumer, ledger)
        await end_fetch_task(consumer)
        with pytest.raises(DependencyUnreachableError, match="fetch task"):
            await consumer.receive()


async def test_an_error_of_the_group_while_nothing_is_assigned_is_noticed(topics: Settings) -> None:
    """aiokafka stands still until somebody takes the error; without shards nobody asks it for records."""
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        fail_next_rejoin(consumer, kafka_errors.KafkaError("the broker went away in the middle of it"))
        await until(lambda: not consumer.assigned)
        with pytest.raises(DependencyUnreachableError, match="in the middle of it"):
            while True:
                await step(consumer, ledger)
        await until(lambda: consumer.assigned)
