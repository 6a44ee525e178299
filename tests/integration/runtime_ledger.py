"""A store in memory with the same compare-and-set as the real one, and the oracle of the consumer tests."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from meter.runtime.errors import OwnershipLostError
from meter.runtime.kafka import Batch, Message, Producer, ShardConsumer, TopicAdmin
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, TOPICS, USAGE

INPUTS = (USAGE, ACCOUNTS)
DEADLINE_S = 120


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


async def make_topics(settings: Settings) -> None:
    specs = [spec for spec in TOPICS if spec.name in INPUTS]
    async with TopicAdmin(settings) as admin:
        await admin.ensure([replace(spec, partitions=settings.partitions) for spec in specs], 1)


async def fill(settings: Settings, count: int, *, topic: str = USAGE, start: int = 0) -> None:
    async with Producer(settings, linger_ms=2) as producer:
        await producer.publish(
            [Message(topic, f"account-{number % 97}", str(number).encode()) for number in range(start, start + count)]
        )


async def read_ends(settings: Settings, topics: Iterable[str] = INPUTS) -> dict[str, dict[int, int]]:
    async with TopicAdmin(settings) as admin:
        return {topic: await admin.end_offsets(topic) for topic in topics}


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
