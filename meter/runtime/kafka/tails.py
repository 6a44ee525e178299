"""Whether a stretch of a partition holds no record: markers of transactions and what was aborted take offsets, too."""

import asyncio
from collections.abc import Mapping
from typing import Final

from meter.runtime.kafka.adapter.consumer import AiokafkaReader
from meter.runtime.kafka.adapter.protocols import ReaderClient, TopicPartition
from meter.runtime.kafka.asking import ask_each
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.settings import Settings
from meter.runtime.stretch import Stretch

READ_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 2.0
POLL_MS: Final = 500


async def find_bare(settings: Settings, topic: str, stretches: Mapping[int, Stretch]) -> dict[int, bool]:
    """By partition, whether nothing that was committed lies in its stretch. Partitions that do not answer in time, or
    no longer have the beginning of it, are missing.

    It reads outside any group, over a connection of its own, of each partition up to the first record. Raises
    TransientError.
    """
    client: ReaderClient = AiokafkaReader(settings, isolation_level="read_committed")
    try:
        await client.start()
        wanted = {TopicPartition(settings.topic(topic), number): stretch for number, stretch in stretches.items()}
        begins = (await ask_each(client.beginning_offsets, list(wanted))).found
        there = {tp: stretch for tp, stretch in wanted.items() if tp in begins and begins[tp] <= stretch.begin}
        client.assign(list(there))
        for tp, stretch in there.items():
            client.seek(tp, stretch.begin)
        found = await read_first(client, there)
    except Exception as error:
        if is_transient(error):
            raise unreachable(error, f"reading {topic}") from error
        raise
    finally:
        await client.stop(STOP_TIMEOUT_S)
    return {tp.partition: is_bare for tp, is_bare in found.items()}


async def read_first(client: ReaderClient, stretches: Mapping[TopicPartition, Stretch]) -> dict[TopicPartition, bool]:
    """The client is to deliver from the beginning of each stretch on. It passes over markers by itself, so a stretch
    is bare once the next that it would deliver lies behind it."""
    found: dict[TopicPartition, bool] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READ_TIMEOUT_S
    while (left := sorted(stretches.keys() - found.keys())) and loop.time() < deadline:
        polled = await client.poll(left, timeout_ms=POLL_MS, max_records=1)
        for tp in left:
            first = next(iter(polled.get(tp, ())), None)
            if first is not None:
                found[tp] = first.offset >= stretches[tp].end
            elif client.fetch_offset(tp) >= stretches[tp].end:
                found[tp] = True
    return found
