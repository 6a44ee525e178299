"""A partition whose leader is away, on two brokers: the others are read meanwhile, and it is once it is back."""

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local import apache_kafka
from meter.runtime.kafka import Message, Producer, ShardConsumer
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.lag_watch import LagWatch
from meter.runtime.process.health import Health
from meter.runtime.settings import Settings
from schemas.topics import USAGE
from tests.integration.runtime_ledger import INPUTS, Ledger
from tests.support import until
from tests.support.kafka_programs import Broker

PARTITIONS, LEADERLESS, EACH = 3, 1, 20
MOST_S = 300  # brokers start, and notice that one is gone, on a machine that does other things, too

pytestmark = pytest.mark.xdist_group("leaderless")


@pytest.fixture
def brokers() -> Iterator[tuple[Broker, Broker]]:
    if why := apache_kafka.missing():
        pytest.skip(f"Apache Kafka: {why}")
    jars = apache_kafka.fetch_jars()
    first = Broker(jars, 1)
    second = Broker(jars, 2, first)
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        second.close()
        first.close()


def make_topics(settings: Settings) -> None:
    """One copy of each partition; the first broker is the leader of all but one."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    places = [[2] if number == LEADERLESS else [1] for number in range(PARTITIONS)]
    topics = [NewTopic(settings.topic(topic), PARTITIONS, replica_assignment=places) for topic in INPUTS]
    for made in admin.create_topics(topics, operation_timeout=60).values():
        made.result()


async def publish(settings: Settings, *partitions: int) -> None:
    async with Producer(settings) as producer:
        await producer.publish(
            [Message(USAGE, b"k", b"%d" % n, partition=number) for number in partitions for n in range(EACH)]
        )


async def test_the_others_are_read_while_one_has_no_leader(brokers: tuple[Broker, Broker], topic_prefix: str) -> None:
    first, second = brokers
    settings = Settings(
        kafka_bootstrap=first.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS, kafka_session_ms=6_000
    )
    make_topics(settings)
    await publish(settings, *range(PARTITIONS))
    await asyncio.to_thread(second.stop)
    ledger, health = Ledger(), Health()
    async with ShardConsumer(settings, topics=INPUTS, group="meter", store=ledger) as consumer:
        watch = LagWatch(consumer, health)

        async def read() -> int:
            for batch in await consumer.receive():
                ledger.append(batch)
                consumer.advance(batch)
            watch.look()
            return ledger.count

        others = PARTITIONS - 1
        await until(lambda: stored(read, others * EACH), MOST_S, "the others are read")
        assert set(consumer.list_silent()) == {(topic, LEADERLESS) for topic in INPUTS}
        faults = health.report()["faults"]
        assert isinstance(faults, dict)
        assert set(faults) == {f"{topic} {LEADERLESS}" for topic in INPUTS}
        ends = await consumer.fetch_ends(USAGE)
        assert ends == dict.fromkeys({0, 2}, EACH)
        silent: dict[int, str] = {}
        found = [record.partition async for records in read_topic(settings, USAGE, silent=silent) for record in records]
        assert (set(found), set(silent)) == ({0, 2}, {LEADERLESS})
        await publish(settings, 0)
        await until(lambda: stored(read, (others + 1) * EACH), MOST_S, "reading goes on")
        await asyncio.to_thread(second.start)
        await until(lambda: stored(read, (PARTITIONS + 1) * EACH), MOST_S, "it is read as well")
        assert health.report()["faults"] == {}


async def stored(read: object, count: int) -> bool:
    return await read() == count  # type: ignore[operator,no-any-return]
