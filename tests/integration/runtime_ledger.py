"""A store in memory with the compare-and-set of the real one, the oracle of the consumer tests, and their topics."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from meter.runtime.errors import OwnershipLostError
from meter.runtime.kafka import Batch, Message, Producer, ShardConsumer, TopicAdmin
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, TOPICS, USAGE
from tests.support import until

INPUTS = (USAGE, ACCOUNTS)
DEADLINE_S = 120
READ_S = 30


class Ledger:
    """Stores the offsets of records; `fence` off shows what the compare-and-set is for."""

    def __init__(self, *, fence: bool = True) -> None:
        self.next: dict[tuple[str, int], int] = {}
        self.stored: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.values: list[bytes | None] = []
        self.lost = 0
        self.fence = fence
        self.failures: list[Exception] = []

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        if self.failures:
            raise self.failures.pop(0)
        return {(topic, shard): self.next.get((topic, shard), 0) for topic in topics for shard in shards}

    def append(self, batch: Batch) -> None:
        for topic, start in batch.start.items():
            if self.fence and self.next.get((topic, batch.shard), 0) != start:
                raise OwnershipLostError(f"shard {batch.shard}")
        for topic, records in batch.records.items():
            self.stored[topic, batch.shard] += [record.offset for record in records]
            self.values += [record.value for record in records]
            self.next[topic, batch.shard] = batch.end[topic]

    def check(self, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Every offset of every partition is stored exactly once, in order."""
        for topic, shards in ends.items():
            for shard, end in shards.items():
                assert self.stored[topic, shard] == list(range(end)), f"{topic}[{shard}]"

    @property
    def count(self) -> int:
        return sum(map(len, self.stored.values()))


@asynccontextmanager
async def joined(settings: Settings, ledger: Ledger, **options: Any) -> AsyncIterator[ShardConsumer]:
    consumer = ShardConsumer(settings, topics=INPUTS, group="meter", store=ledger, **options)
    async with asyncio.timeout(DEADLINE_S), consumer:
        yield consumer


async def make_topics(settings: Settings, *names: str) -> None:
    """Those that are named, else both of the meter."""
    specs = [spec for spec in TOPICS if spec.name in (names or INPUTS)]
    async with TopicAdmin(settings) as admin:
        await admin.ensure([replace(spec, partitions=settings.partitions) for spec in specs], 1)


async def grow(settings: Settings, partitions: int, *topics: str) -> None:
    """As `kafka-topics --alter --partitions`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({settings.topic(topic): NewPartitions(partitions) for topic in topics})
    finally:
        await admin.close()
    async with TopicAdmin(settings) as topic_admin:

        async def are_there() -> bool:
            found = [await topic_admin.find(topic) for topic in topics]
            return all(info is not None and info.partitions == partitions for info in found)

        are: Callable[[], bool | Awaitable[bool]] = are_there
        await until(are, 90, f"{topics} have {partitions} partitions")  # brokers learn of it by and by


async def fill(settings: Settings, count: int, *, topic: str = USAGE, start: int = 0) -> None:
    async with Producer(settings, linger_ms=2) as producer:
        await producer.publish(
            [Message(topic, f"account-{number % 97}", str(number).encode()) for number in range(start, start + count)]
        )


async def read_ends(settings: Settings, topics: Iterable[str] = INPUTS) -> dict[str, dict[int, int]]:
    async with TopicAdmin(settings) as admin:
        return {topic: await admin.end_offsets(topic) for topic in topics}


async def read_all(settings: Settings, topic: str) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Every record of a topic by partition, in order."""
    async with asyncio.timeout(READ_S), TopicAdmin(settings) as admin:
        ends = await admin.end_offsets(topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {partition: [] for partition in ends}
    async with asyncio.timeout(READ_S), consumer:
        partitions = [TopicPartition(settings.topic(topic), partition) for partition in ends]
        consumer.assign(partitions)
        for tp in partitions:
            consumer.seek(tp, 0)
        while any(len(found[partition]) < end for partition, end in ends.items()):
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                found[tp.partition] += [(record.key, record.value) for record in records]
    return found


async def step(consumer: ShardConsumer, ledger: Ledger) -> int:
    """receive → store → acknowledge, once."""
    batches = await consumer.receive()
    for batch in batches:
        try:
            ledger.append(batch)
        except OwnershipLostError:
            ledger.lost += 1
            await consumer.rewind([batch.shard])
        else:
            consumer.advance(batch)
    await consumer.acknowledge(batches)
    return len(batches)


async def drain(consumer: ShardConsumer, ledger: Ledger, count: int) -> None:
    while ledger.count < count:
        await step(consumer, ledger)
