"""Producer, topics and outbox relay against real servers."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from confluent_kafka.admin import AdminClient, NewTopic

from meter.runtime import fault_points
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.fault_points import InjectedError, parse_fault_points
from meter.runtime.kafka import Landed, Message, Producer, TopicAdmin
from meter.runtime.kafka.adapter import producer as producer_adapter
from meter.runtime.looks import Looks
from meter.runtime.outbox import OutboxRelay, messages_for
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.runtime.settings import Settings
from schemas.topics import BALANCES, TOPICS, USAGE, partition_for
from tests.integration.runtime_faults import hang_producer_flush, hide_leaders
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within

DEADLINE_S = 30
SPECS = [spec for spec in TOPICS if spec.name in (USAGE, BALANCES)]


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    async with TopicAdmin(settings) as admin:
        await admin.ensure([replace(spec, partitions=settings.partitions) for spec in SPECS], 1)
    return settings


async def read_all(settings: Settings, topic: str) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Every record of a topic by partition, in order."""
    async with asyncio.timeout(DEADLINE_S), TopicAdmin(settings) as admin:
        ends = await admin.end_offsets(topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {partition: [] for partition in ends}
    async with asyncio.timeout(DEADLINE_S), consumer:
        partitions = [TopicPartition(settings.topic(topic), partition) for partition in ends]
        consumer.assign(partitions)
        for tp in partitions:
            consumer.seek(tp, 0)
        while any(len(found[partition]) < end for partition, end in ends.items()):
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                found[tp.partition] += [(record.key, record.value) for record in records]
    return found


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


async def write_outbox(pool: Pool, shard: int, values: list[str]) -> None:
    await pool.execute("INSERT INTO projections.outbox_shards VALUES ($1) ON CONFLICT (shard) DO NOTHING", shard)
    await pool.executemany(
        "INSERT INTO projections.outbox (shard, key, value) VALUES ($1, $2, $3)",
        [(shard, f"account-{shard}", value.encode()) for value in values],
    )


@asynccontextmanager
async def relay(settings: Settings, pool: Pool, **options: Any) -> AsyncIterator[OutboxRelay]:
    async with asyncio.timeout(DEADLINE_S), Producer(settings) as producer:
        yield OutboxRelay(pool, producer, "projections", messages_for(BALANCES), **options)


async def published(settings: Settings) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for records in (await read_all(settings, BALANCES)).values():
        for key, value in records:
            found.setdefault(key or b"", []).append((value or b"").decode())
    return found


async def test_the_outbox_is_published_in_order_and_emptied(topics: Settings, pool: Pool) -> None:
    for shard in range(3):
        await write_outbox(pool, shard, [str(number) for number in range(25)])
    async with relay(topics, pool, batch=10) as outbox:
        while await outbox.relay():
            pass
        assert await outbox.count() == 0
    for values in (await published(topics)).values():
        assert values == [str(number) for number in range(25)]


async def test_the_outbox_is_published_as_every_client_reads_it(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the content type that CloudEvents SDKs ask for, and packed with gzip, which needs no plug-in anywhere."""
    options: dict[str, Any] = {}

    class Recorded(AIOKafkaProducer):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            options.update(given)
            super().__init__(**given)

    monkeypatch.setattr(producer_adapter, "AIOKafkaProducer", Recorded)
    await write_outbox(pool, 0, ["a"])
    async with relay(topics, pool) as outbox:
        await outbox.relay()
    consumer = confluent_kafka.Consumer({"bootstrap.servers": topics.kafka_bootstrap, "group.id": "any"})
    try:
        name = topics.topic(BALANCES)
        consumer.assign([confluent_kafka.TopicPartition(name, number, 0) for number in range(topics.partitions)])
        [record] = await asyncio.to_thread(consumer.consume, 1, DEADLINE_S)
    finally:
        consumer.close()
    assert record.headers() == [("content-type", b"application/cloudevents+json")]
    assert options["compression_type"] == "gzip"


async def test_relays_at_the_same_time_do_not_mix_up_a_shard(topics: Settings, pool: Pool) -> None:
    for shard in range(3):
        await write_outbox(pool, shard, [str(number) for number in range(40)])
    async with relay(topics, pool, batch=7) as first, relay(topics, pool, batch=7) as second:
        while await first.count():
            await asyncio.gather(first.relay(), second.relay(), first.relay())
    for values in (await published(topics)).values():
        assert values == [str(number) for number in range(40)]


async def test_a_crash_after_publishing_publishes_again_and_loses_nothing(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_points, "_armed", parse_fault_points("outbox_between_publish_and_delete:1:raise"))
    monkeypatch.setattr(fault_points, "_visits", {})
    await write_outbox(pool, 0, ["a", "b", "c"])
    async with relay(topics, pool) as outbox:
        with pytest.raises(InjectedError):
            await outbox.relay()
        assert await outbox.count() == 3
        assert await outbox.relay() == 3
        assert await outbox.relay() == 0
    assert await published(topics) == {b"account-0": ["a", "b", "c", "a", "b", "c"]}


class Refusing:
    """Has the producer fail what `refused` names, until it is emptied; the others land."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *refused: bytes) -> None:
        self.refused = set(refused)
        self.error: Exception = DependencyUnreachableError("no leader", dependency="kafka")
        publish_each = Producer.publish_each

        async def publish(producer: Producer, messages: Sequence[Message]) -> list[Landed | Exception]:
            let = [message for message in messages if message.value not in self.refused]
            results = iter(await publish_each(producer, let) if let else [])
            return [self.error if message.value in self.refused else next(results) for message in messages]

        monkeypatch.setattr(Producer, "publish_each", publish)


async def test_a_shard_that_cannot_be_published_holds_up_no_other(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, tried again, and goes on in order when it can."""
    refusing, health, stop = Refusing(monkeypatch, b"1b"), Health(), asyncio.Event()
    for shard in range(3):
        await write_outbox(pool, shard, [f"{shard}a", f"{shard}b", f"{shard}c"])
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))

        async def is_held() -> bool:
            return await outbox.count() == 2 and len(health.report()["faults"]) == 1  # type: ignore[arg-type]

        await until(is_held, message="all but one shard are published")
        await write_outbox(pool, 0, ["0d"])
        outbox.wake.set()
        await until(lambda: outbox_is(outbox, 2), message="the others go on")
        [(part, reason)] = health.report()["faults"].items()  # type: ignore[attr-defined]
        assert part == "projections-outbox shard 1" and "no leader" in reason
        refusing.refused.clear()
        await until(lambda: outbox_is(outbox, 0), message="it goes on")
        await until(lambda: health.report()["faults"] == {}, message="the fault is gone")
        stop.set()
        await running
    found = await published(topics)
    assert found[b"account-0"] == ["0a", "0b", "0c", "0d"]
    # What stands behind a message that failed comes again behind it.
    assert found[b"account-1"][0] == "1a" and found[b"account-1"][-2:] == ["1b", "1c"]


async def outbox_is(outbox: OutboxRelay, count: int) -> bool:
    return await outbox.count() == count


async def test_a_shard_that_fails_alone_is_held_as_well(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody else has a message nothing lands at all: that says nothing of Kafka as a whole."""
    refusing, health, stop = Refusing(monkeypatch, b"1a"), Health(), asyncio.Event()
    await write_outbox(pool, 1, ["1a"])
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await until(lambda: health.report()["faults"], message="it is held")
        await write_outbox(pool, 0, ["0a"])
        outbox.wake.set()
        await until(lambda: outbox_is(outbox, 1), message="the others go on")
        refusing.refused.clear()
        await until(lambda: outbox_is(outbox, 0), message="it goes on")
        stop.set()
        await running
    assert await published(topics) == {b"account-0": ["0a"], b"account-1": ["1a"]}


async def test_a_held_shard_that_another_relay_is_at_stays_held(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is waiting for the same partition, perhaps: released, it would hold up all shards again."""
    refusing, health, stop = Refusing(monkeypatch, b"1a"), Health(), asyncio.Event()
    monkeypatch.setattr("meter.runtime.outbox.LONGEST_PAUSE_S", 0.2)
    await write_outbox(pool, 0, ["0a"])
    await write_outbox(pool, 1, ["1a"])
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await until(lambda: health.report()["faults"], message="it is held")
        async with pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM projections.outbox_shards WHERE shard = 1 FOR UPDATE")
            asked = note_retries(outbox, monkeypatch)
            await until(lambda: len(asked) >= 3, message="it is tried again")
            assert list(health.report()["faults"]) == ["projections-outbox shard 1"]  # type: ignore[call-overload]
        refusing.refused.clear()
        await until(lambda: outbox_is(outbox, 0), message="it goes on")
        await until(lambda: not health.report()["faults"], message="the fault is gone")
        stop.set()
        await running


def note_retries(outbox: OutboxRelay, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """The shards of each retry that has ended from now on."""
    asked: list[Sequence[int]] = []
    retry = outbox._retry

    async def note(shards: Sequence[int]) -> None:
        await retry(shards)
        asked.append(shards)

    monkeypatch.setattr(outbox, "_retry", note)
    return asked


@pytest.mark.parametrize(
    "error", [kafka_errors.TopicAuthorizationFailedError("no right"), LookupError("a bug")], ids=repr
)
async def test_a_relay_that_can_publish_nothing_says_what_does_not_pass(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    Refusing(monkeypatch, b"a", b"b").error = error
    await write_outbox(pool, 0, ["a"])
    await write_outbox(pool, 1, ["b"])
    async with relay(topics, pool) as outbox:
        with pytest.raises(type(error)):
            await outbox.relay()
        assert await outbox.count() == 2


async def test_the_running_relay_wakes_when_its_event_is_set(topics: Settings, pool: Pool) -> None:
    health, stop = Health(), asyncio.Event()
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await write_outbox(pool, 1, ["x"])
        outbox.wake.set()

        await until(lambda: health.progress_marks == 1, message="is published")
        assert await outbox.count() == 0
        stop.set()
        with within(2):
            async with asyncio.timeout(GIVEN_UP_S):
                await running
    assert await published(topics) == {b"account-1": ["x"]}


@pytest.mark.parametrize(
    ("woken_by_every_commit", "batch", "looks"),
    [
        (True, 1000, [3, "waits"]),
        (True, 3, [3, 0, "waits"]),
        (True, 2, [2, 1, "waits"]),
        (False, 1000, [3, 0, "waits"]),
    ],
)
async def test_a_relay_that_took_all_looks_again_unless_every_commit_wakes_it(
    topics: Settings,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
    woken_by_every_commit: bool,
    batch: int,
    looks: list[int | str],
) -> None:
    seen: list[int | str] = []
    look = OutboxRelay.relay

    async def note_look(self: OutboxRelay) -> int:
        seen.append(await look(self))
        return int(seen[-1])

    async def note_wait(wake: asyncio.Event, _seconds: float) -> None:
        seen.append("waits")
        await wake.wait()

    monkeypatch.setattr(OutboxRelay, "relay", note_look)
    monkeypatch.setattr("meter.runtime.outbox.wait_for", note_wait)
    stop = asyncio.Event()
    await write_outbox(pool, 0, ["a", "b", "c"])
    async with relay(topics, pool, batch=batch, woken_by_every_commit=woken_by_every_commit) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await until(lambda: "waits" in seen, message="it waits")
        assert seen == looks
        stop.set()
        await running
