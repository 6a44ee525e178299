"""ShardConsumer against a real broker: nothing lost, nothing twice, whatever comes between."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from meter.runtime.kafka import Batch, Message, Producer, ShardConsumer
from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE
from tests.integration.runtime_faults import Looks, aiokafka_of
from tests.integration.runtime_ledger import Ledger, drain, fill, joined, read_ends, step
from tests.support import until


async def test_reads_both_topics_of_every_shard_exactly_once(topics: Settings) -> None:
    await fill(topics, 3000)
    await fill(topics, 50, topic=ACCOUNTS)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        assert consumer.assigned == {0, 1, 2}
        await drain(consumer, ledger, 3050)
        assert consumer.lag() == 0
    ledger.check(await read_ends(topics))


async def test_batches_keep_to_their_limit_and_grants_go_first(topics: Settings) -> None:
    """Each shard has more usage buffered than a batch takes, and grants that came later."""
    most = 40
    await fill(topics, 900)
    small = topics.model_copy(update={"batch_events": most})
    ledger = Ledger()
    async with joined(small, ledger) as consumer:
        held: list[Batch] = []
        while len(held) < 3 or any(buffer.waiting < most for buffer in buffers_of(consumer, USAGE)):
            held += await consumer.receive()
        await fill(topics, 30, topic=ACCOUNTS)
        grants = (await read_ends(topics))[ACCOUNTS]
        while any(buffer.waiting < grants[buffer.partition] for buffer in buffers_of(consumer, ACCOUNTS)):
            assert await consumer.receive() == []
        for batch in held:
            assert batch.size <= most
            ledger.append(batch)
            consumer.advance(batch)
        first: dict[int, int] = {}
        while ledger.count < 930:
            for batch in await consumer.receive():
                assert batch.size <= most
                first.setdefault(batch.shard, len(batch.records[ACCOUNTS]))
                ledger.append(batch)
                consumer.advance(batch)
    assert first == grants
    assert all(grants.values())
    ledger.check(await read_ends(topics))


async def test_a_backlog_of_large_records_is_held_within_the_byte_limits(topics: Settings) -> None:
    """Of a shard that is not advanced one batch is in flight, a share or two are buffered; the rest waits."""
    size, count = 50_000, 240
    async with Producer(topics, linger_ms=2) as producer:
        await producer.publish([Message(USAGE, f"account-{number}", b"x" * size) for number in range(count)])
    most = 600_000
    small = topics.model_copy(update={"batch_bytes": most, "buffer_bytes": 3 * most})
    ledger = Ledger()
    async with joined(small, ledger) as consumer:
        held: list[Batch] = []
        while len(held) < 3 or any(buffer.size < most for buffer in buffers_of(consumer, USAGE)):
            held += await consumer.receive()
        for _ in range(5):
            assert await consumer.receive() == []
        waiting = sum(buffer.size for buffer in buffers_of(consumer, USAGE))
        assert all(batch.size * size < most for batch in held)
        fetched = most // 2 + size
        assert waiting < (2 * most + fetched) + 2 * (most + fetched), "two shares of one, one of others"
        for batch in held:
            ledger.append(batch)
            consumer.advance(batch)
        await drain(consumer, ledger, count)
    ledger.check(await read_ends(topics))


def buffers_of(consumer: ShardConsumer, topic: str) -> list[PartitionBuffer]:
    return [buffer for buffer in consumer._buffers.partitions.values() if buffer.topic == topic]


async def test_a_new_process_continues_at_the_stored_offset(topics: Settings) -> None:
    await fill(topics, 500)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await step(consumer, ledger)
        while not ledger.count:
            await step(consumer, ledger)
    await fill(topics, 500, start=500)
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, 1000)
    ledger.check(await read_ends(topics))


async def test_kafkas_own_offsets_do_not_count(topics: Settings) -> None:
    """A batch that was acknowledged to Kafka but whose store was restored from a backup is read again."""
    await fill(topics, 300)
    async with joined(topics, Ledger()) as consumer:
        await drain(consumer, first := Ledger(), 300)
    assert first.count == 300
    empty = Ledger()
    async with joined(topics, empty) as consumer:
        await drain(consumer, empty, 300)
    empty.check(await read_ends(topics))


async def test_a_rewound_shard_is_read_again_and_the_others_go_on(topics: Settings) -> None:
    await fill(topics, 600)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        rewound = 0
        while ledger.count < 600:
            for batch in await consumer.receive():
                if batch.shard == 0 and rewound < 3:
                    rewound += 1
                    await consumer.rewind([0])
                    continue
                ledger.append(batch)
                consumer.advance(batch)
    assert rewound == 3
    ledger.check(await read_ends(topics))


async def test_a_shard_with_a_batch_in_flight_gets_no_other(topics: Settings) -> None:
    await fill(topics, 300)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        held: dict[int, Any] = {}
        while len(held) < 3:
            for batch in await consumer.receive():
                assert batch.shard not in held
                held[batch.shard] = batch
        await fill(topics, 300, start=300)
        assert await consumer.receive() == []
        assert consumer.lag() >= 300
        for batch in held.values():
            ledger.append(batch)
            consumer.advance(batch)
        await drain(consumer, ledger, 600)
    ledger.check(await read_ends(topics))


async def test_consumers_that_come_and_go_share_the_work_without_loss(topics: Settings) -> None:
    ledger = Ledger()
    total = 6000

    async def work(consumer: ShardConsumer) -> None:
        while ledger.count < total:
            await step(consumer, ledger)

    async with joined(topics, ledger) as first:
        working = asyncio.create_task(work(first))
        await fill(topics, 2000)
        async with joined(topics, ledger) as second:
            second_work = asyncio.create_task(work(second))
            await fill(topics, 2000, start=2000)
            await until(lambda: first.assigned and second.assigned and not first.assigned & second.assigned)
            assert first.assigned | second.assigned == {0, 1, 2}
            second_work.cancel()
            await asyncio.wait({second_work})
        await fill(topics, 2000, start=4000)
        await working
        assert first.assigned == {0, 1, 2}
    ledger.check(await read_ends(topics))


async def test_at_rest_the_client_hardly_looks_for_work_but_when_a_fetch_is_over(topics: Settings) -> None:
    """A look goes through every partition, and costs as much where it finds nothing."""
    async with joined(topics, Ledger()) as consumer:
        counted = Looks(consumer)
        while counted.fetches < 5:
            assert await consumer.receive() == []
    assert counted.looks <= 2 * counted.fetches  # by its own default three to four times as often


async def test_headers_keys_and_empty_values_arrive_as_sent(topics: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=topics.kafka_bootstrap)
    await producer.start()
    try:
        name = topics.topic(USAGE)
        await producer.send_and_wait(name, None, key=b"k", partition=2, headers=[("ce_id", b"1"), ("ce_id", b"2")])
        await producer.send_and_wait(name, b"", key=None, partition=2, timestamp_ms=1_700_000_000_000)
    finally:
        await producer.stop()
    async with joined(topics, Ledger()) as consumer:
        records: list[Any] = []
        while len(records) < 2:
            for batch in await consumer.receive():
                records += batch.records[USAGE]
                consumer.advance(batch)
    assert (records[0].key, records[0].value) == (b"k", None)
    assert tuple(records[0].headers) == (("ce_id", b"1"), ("ce_id", b"2"))
    assert (records[1].key, records[1].value, records[1].timestamp_ms) == (None, b"", 1_700_000_000_000)
    assert (records[1].topic, records[1].partition) == (USAGE, 2)


async def test_acknowledged_offsets_are_visible_to_lag_tools(topics: Settings) -> None:
    await fill(topics, 90)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, 90)
    async with joined(topics, ledger) as consumer:
        for shard in range(3):
            committed = await aiokafka_of(consumer).committed(TopicPartition(topics.topic(USAGE), shard))
            assert (committed or 0) == ledger.next.get((USAGE, shard), 0)
