"""Reads a topic from its beginning to the end it has now, outside any group."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka.adapter.consumer import AiokafkaReader
from meter.runtime.kafka.adapter.protocols import ReaderClient, TopicPartition
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.asking import not_answered
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.settings import Settings

STOP_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
POLL_MS = 500


class TopicRecord(NamedTuple):
    partition: int
    offset: int
    value: bytes | None


async def read_topic(
    settings: Settings,
    topic: str,
    *,
    batch: int = 5_000,
    newest: int | None = None,
    silent: dict[int, str] | None = None,
) -> AsyncIterator[list[TopicRecord]]:
    """Yield lists of at most `batch` records, up to the end that the topic has at the call; of each partition all, or
    the `newest` ones.

    Partitions that do not answer are left out and noted in `silent`, with the reason; where it is None, one is enough
    for DependencyUnreachableError, else it takes all. Raises RefusalError when there is no such topic.
    """
    async with TopicAdmin(settings) as admin:
        bounds, absent = await admin.bounds(topic)
    if absent and (silent is None or not bounds):
        reasons = {TopicPartition(settings.topic(topic), number): reason for number, reason in absent.items()}
        raise not_answered(reasons, f"reading {topic}")
    if silent is not None:
        silent |= absent
    ends = {number: end for number, (_begin, end) in bounds.items()}
    begins = {number: begin for number, (begin, _end) in bounds.items()}
    if newest is not None:
        begins = {number: max(begin, ends[number] - newest) for number, begin in begins.items()}
    client: ReaderClient = AiokafkaReader(settings, isolation_level="read_committed")
    try:
        await client.start()
        left = {
            TopicPartition(settings.topic(topic), number): ends[number]
            for number, begin in begins.items()
            if begin < ends[number]
        }
        client.assign(list(left))
        for partition in left:
            client.seek(partition, begins[partition.partition])
        async for records in poll(client, left, batch):
            yield records
    except Exception as error:
        if is_transient(error):
            raise unreachable(error, f"reading {topic}") from error
        raise
    finally:
        await client.stop(STOP_TIMEOUT_S)


async def poll(
    client: ReaderClient, ends: Mapping[TopicPartition, int], batch: int
) -> AsyncIterator[list[TopicRecord]]:
    """Records below the given ends. Raises DependencyUnreachableError when none comes for READ_TIMEOUT_S."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READ_TIMEOUT_S
    while unfinished := [tp for tp, end in ends.items() if client.fetch_offset(tp) < end]:
        polled = await client.poll(unfinished, timeout_ms=POLL_MS, max_records=batch)
        records = [
            TopicRecord(tp.partition, record.offset, record.value)
            for tp, found in polled.items()
            for record in found
            if record.offset < ends[tp]
        ]
        if records:
            yield records
            deadline = loop.time() + READ_TIMEOUT_S
        elif loop.time() > deadline:
            raise DependencyUnreachableError(f"no record came for {READ_TIMEOUT_S} s", dependency="kafka")
