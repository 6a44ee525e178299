"""ShardConsumer where offsets have no records: cut by retention, aborted, taken by markers of transactions."""

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from meter.runtime.errors import TopicIdentityError
from meter.runtime.kafka import Batch, Message, Producer
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE
from tests.integration.runtime_ledger import Ledger, drain, fill, joined, read_ends, step


async def delete_records(settings: Settings, tp: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_records({tp: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


@pytest.mark.needs_kafka("DeleteRecords")
async def test_records_lost_to_retention_are_refused_or_taken_as_a_gap(topics: Settings) -> None:
    await fill(topics, 300)
    await delete_records(topics, TopicPartition(topics.topic(USAGE), 0), 20)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        with pytest.raises(TopicIdentityError, match="starts at 20, next wanted is 0"):
            await consumer.receive()
    accepting = topics.model_copy(update={"accept_lost_records": True})
    async with joined(accepting, ledger) as consumer:
        await drain(consumer, ledger, 280)
    ends = await read_ends(topics)
    assert ledger.stored[USAGE, 0] == list(range(20, ends[USAGE][0]))
    assert ledger.next[USAGE, 0] == ends[USAGE][0]


async def produce_transactions(settings: Settings, *, commit_last: bool) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, transactional_id=settings.topic("tx"), acks="all"
    )
    await producer.start()
    try:
        for commit in (True, False, commit_last):
            await producer.begin_transaction()
            for number in range(3):
                value = b"kept" if commit else b"aborted"
                await producer.send_and_wait(settings.topic(USAGE), value, key=str(number).encode(), partition=0)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


@pytest.mark.needs_kafka("transactions")
@pytest.mark.parametrize("commit_last", [True, False])
async def test_aborted_records_and_markers_are_skipped_and_no_lag(topics: Settings, commit_last: bool) -> None:
    """Offsets: 0-2 kept, 3 marker, 4-6 aborted, 7 marker, 8-10 kept or aborted, 11 marker."""
    await produce_transactions(topics, commit_last=commit_last)
    kept = [0, 1, 2, 8, 9, 10] if commit_last else [0, 1, 2]
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, len(kept))
        while consumer.lag():
            await step(consumer, ledger)
    assert ledger.stored[USAGE, 0] == kept
    assert b"aborted" not in ledger.values


@pytest.mark.needs_kafka("transactions")
async def test_the_end_is_asked_now_and_markers_behind_a_batch_do_not_count(topics: Settings) -> None:
    """Offset 11 is a marker: a batch that ends before it has read all there is, until another record comes."""
    await produce_transactions(topics, commit_last=True)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, 6)
        while consumer.lag():
            await step(consumer, ledger)
        at = {USAGE: 11, ACCOUNTS: 0}
        batch = Batch(0, {USAGE: [], ACCOUNTS: []}, at, at)
        assert await consumer.find_end(USAGE, batch) == 11
        async with Producer(topics) as producer:
            await producer.publish([Message(USAGE, "acct-1", b"x", 0)])
        assert await consumer.find_end(USAGE, batch) == 13
