"""Producer and topics against real servers."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import confluent_kafka
import pytest
from aiokafka import errors as kafka_errors
from confluent_kafka.admin import AdminClient, NewTopic

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Message, Producer, TopicAdmin
from meter.runtime.settings import Settings
from schemas.topics import BALANCES, TOPICS, USAGE, partition_for
from tests.integration.runtime_faults import hang_producer_flush, hide_leaders
from tests.integration.runtime_ledger import make_topics, read_all
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within

DEADLINE_S = 30
SPECS = [spec for spec in TOPICS if spec.name in (USAGE, BALANCES)]


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    await make_topics(settings, USAGE, BALANCES)
    return settings


async def test_topics_are_created_once_and_differences_are_reported(settings: Settings) -> None:
    specs = [replace(spec, partitions=settings.partitions) for spec in SPECS]
    async with TopicAdmin(settings) as admin:
        assert [change.action for change in await admin.ensure(specs, 1)] == ["created", "created"]
        assert [change.action for change in await admin.ensure(specs, 1)] == ["kept", "kept"]
        wider = [replace(spec, partitions=settings.partitions + 1) for spec in specs]
        changes = await admin.ensure(wider, 1)
        assert [change.action for change in changes] == ["differs", "differs"]
        assert changes[0].detail == "partitions: 3, expected 4"
        info = await admin.describe(USAGE)
        assert info is not None
        assert info.partitions == 3
        assert await admin.describe("no.such.topic") is None


@pytest.mark.needs_kafka("a limit of the timestamps that a topic takes")
async def test_a_time_that_a_topic_does_not_take_holds_nothing_up(settings: Settings) -> None:
    """Of a record that was let in a moment before the limit, and is sent on behind it."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    topic = NewTopic(settings.topic(USAGE), 1, 1, config={"message.timestamp.before.max.ms": "60000"})
    await asyncio.to_thread(admin.create_topics([topic])[topic.topic].result)
    sent = [Message(USAGE, "a", value, 0, timestamp_ms=at) for value, at in ((b"1", None), (b"2", 1_000), (b"3", None))]
    async with Producer(settings) as producer:
        await producer.publish(sent)
    found = [value for _key, value in (await read_all(settings, USAGE))[0]]
    assert found[-3:] == [b"1", b"2", b"3"], "all again, in order"


async def test_topics_have_an_identity_and_the_configuration_asked_for(topics: Settings) -> None:
    async with TopicAdmin(topics) as admin:
        usage, balances = await admin.describe(USAGE), await admin.describe(BALANCES)
        assert usage is not None
        assert balances is not None
        assert usage.topic_id != balances.topic_id
        assert len(usage.topic_id) == 36
        assert usage.config["max.message.bytes"] == "1048576"
        assert balances.config["cleanup.policy"] == "delete"
        assert balances.config["retention.ms"] == "-1"


async def test_a_key_goes_to_the_partition_every_client_computes(topics: Settings) -> None:
    keys = [f"account-{number}" for number in range(100)]
    async with Producer(topics) as producer:
        await producer.publish([Message(USAGE, key, key.encode()) for key in keys])
    found = await read_all(topics, USAGE)
    for partition, records in found.items():
        assert all(partition_for(key or b"", topics.partitions) == partition for key, _ in records)
    assert sum(map(len, found.values())) == 100


async def test_the_batches_of_librdkafka_as_it_comes_are_taken(topics: Settings) -> None:
    """The limit of a topic is one of record batches: a producer's default ones reach 1 MB, of the smallest events."""
    producer = confluent_kafka.Producer({"bootstrap.servers": topics.kafka_bootstrap, "linger.ms": 200})
    failures: list[object] = []
    for number in range(2000):
        value = random.Random(number).randbytes(400)
        producer.produce(topics.topic(USAGE), value, b"one", on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(30) == 0
    assert [str(error) for error in failures if error] == []


async def test_order_holds_per_key(topics: Settings) -> None:
    async with Producer(topics, linger_ms=1) as producer:
        for start in range(0, 2000, 500):
            await producer.publish([Message(USAGE, "one", str(n).encode()) for n in range(start, start + 500)])
    records = (await read_all(topics, USAGE))[partition_for(b"one", topics.partitions)]
    assert [int(value or b"") for _, value in records] == list(range(2000))


async def test_a_missing_topic_is_said_so_and_not_made(settings: Settings) -> None:
    async with Producer(settings) as producer:
        with pytest.raises(DependencyUnreachableError, match="meter setup"):
            await producer.publish([Message(USAGE, "k", b"v")])
    async with TopicAdmin(settings) as admin:
        assert await admin.find(USAGE) is None


async def test_a_message_too_large_is_the_callers_fault_and_leaves_the_producer_alone(topics: Settings) -> None:
    async with Producer(topics) as producer:
        client = producer._client
        with pytest.raises(kafka_errors.MessageSizeTooLargeError):
            await producer.publish([Message(USAGE, "k", b"x" * 2_000_000)])
        assert producer._client is client
        await producer.publish([Message(USAGE, "k", b"v")])


@pytest.mark.parametrize(
    "error",
    [
        kafka_errors.OutOfOrderSequenceNumber(),
        kafka_errors.UnknownProducerId(),
        kafka_errors.ProducerFenced(),
        kafka_errors.RequestTimedOutError(),
    ],
)
async def test_a_producer_in_doubt_is_replaced_and_the_next_publication_works(
    topics: Settings, error: Exception
) -> None:
    async with Producer(topics) as producer:
        await producer.publish([Message(USAGE, "k", b"0")])
        broken: Any = producer._client

        async def fail(_topic: str, _partition: int, records: Sequence[Any]) -> Any:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
            return len(records), future

        broken.send_batch = fail
        with pytest.raises(DependencyUnreachableError, match="publishing"):
            await producer.publish([Message(USAGE, "k", b"1"), Message(USAGE, "k", b"2")])
        await producer.publish([Message(USAGE, "k", b"1"), Message(USAGE, "k", b"2")])
        assert producer._client is not broken
    records = (await read_all(topics, USAGE))[partition_for(b"k", topics.partitions)]
    assert [value for _, value in records] == [b"0", b"1", b"2"]


async def test_acks_that_never_come_end_at_the_deadline(topics: Settings) -> None:
    hasty = topics.model_copy(update={"kafka_publish_timeout_s": 0.3})
    async with Producer(hasty) as producer:
        broken: Any = producer._client

        async def swallow(_topic: str, _partition: int, records: Sequence[Any]) -> Any:
            return len(records), asyncio.get_running_loop().create_future()

        broken.send_batch = swallow
        with within(5):
            async with asyncio.timeout(GIVEN_UP_S):
                with pytest.raises(DependencyUnreachableError):
                    await producer.publish([Message(USAGE, "k", b"v")])


async def test_a_stop_that_hangs_is_bounded(topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meter.runtime.kafka.producer.STOP_TIMEOUT_S", 0.3)
    producer = Producer(topics)
    await producer.start()
    hang_producer_flush(producer)
    with within(5):
        async with asyncio.timeout(GIVEN_UP_S):
            await producer.stop()


async def test_a_client_that_is_given_up_sends_nothing_more(topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would connect again, and publish behind what the next one sent, as long as the process lives."""
    monkeypatch.setattr("meter.runtime.kafka.producer.STOP_TIMEOUT_S", 0.3)
    hasty = topics.model_copy(update={"kafka_publish_timeout_s": 0.3})
    async with Producer(hasty) as producer:
        await producer.start()
        leaders = hide_leaders(producer)
        [result] = await producer.publish_each([Message(USAGE, "k", b"1")])
        assert isinstance(result, DependencyUnreachableError)
        await until(lambda: not producer._closing, DEADLINE_S, "the old client is given up")
        leaders.give_back()  # one that lives on sends now what it had
        ended = "the old client has ended, or has sent all"
        await until(lambda: leaders.sending.done() or leaders.has_sent_all(), DEADLINE_S, ended)
    async with Producer(topics) as producer:
        await producer.publish([Message(USAGE, "k", value) for value in (b"1", b"2")])
    records = (await read_all(topics, USAGE))[partition_for(b"k", topics.partitions)]
    assert [value for _, value in records] == [b"1", b"2"]
    assert leaders.sending.done()
