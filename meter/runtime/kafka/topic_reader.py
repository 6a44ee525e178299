"""Reads a topic from its beginning to the end it has now, outside any group."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.client import client_options, stop_quietly
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.settings import Settings

STOP_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
POLL_MS = 500


class TopicRecord(NamedTuple):
    partition: int
    offset: int
    value: bytes | None


async def read_topic(settings: Settings, topic: str, *, batch: int = 5_000) -> AsyncIterator[list[TopicRecord]]:
    """Lists of records; the end is the one at the call. Raises RefusalError when there is no such topic."""
    async with TopicAdmin(settings) as admin:
        begins, ends = await admin.beginning_offsets(topic), await admin.end_offsets(topic)
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
    )
    try:
        await consumer.start()
        left = {
            TopicPartition(settings.topic(topic), number): ends[number]
            for number, begin in begins.items()
            if begin < ends[number]
        }
        consumer.assign(list(left))
        for partition in left:
            consumer.seek(partition, begins[partition.partition])
        async for records in poll(consumer, left, batch):
            yield records
    except Exception as error:
        if is_transient(error):
            raise unreachable(error, f"reading {topic}") from error
        raise
    finally:
        await stop_quietly(consumer, STOP_TIMEOUT_S)


async def poll(
    consumer: AIOKafkaConsumer, left: Mapping[TopicPartition, int], batch: int
) -> AsyncIterator[list[TopicRecord]]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READ_TIMEOUT_S
    while open_ones := [tp for tp, end in left.items() if await consumer.position(tp) < end]:
        polled = await consumer.getmany(*open_ones, timeout_ms=POLL_MS, max_records=batch)
        records = [
            TopicRecord(tp.partition, record.offset, record.value)
            for tp, found in polled.items()
            for record in found
            if record.offset < left[tp]
        ]
        if records:
            yield records
            deadline = loop.time() + READ_TIMEOUT_S
        elif loop.time() > deadline:
            raise DependencyUnreachableError(f"no record came for {READ_TIMEOUT_S} s", dependency="kafka")
