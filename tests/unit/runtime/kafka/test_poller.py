"""How much is asked for at once: what is guessed of the records' size bounds the memory."""

from typing import Any

import pytest
from aiokafka import TopicPartition

from meter.runtime.kafka.partition_buffer import RECORD_BYTES, Feed
from meter.runtime.kafka.poller import FIRST_RECORD_BYTES, Poller
from meter.runtime.kafka.shard_buffers import HELPING_BYTES, Shelf
from tests.unit.runtime.kafka.test_shard_buffers import Raw

LARGE = b"v" * 64 * 1024
PLACE = TopicPartition("usage", 0)


class ScriptedConsumer:
    """Gives out what it is told to, poll after poll, and notes how many records were asked for."""

    def __init__(self, *polls: list[Raw]) -> None:
        self._polls = list(polls)
        self.asked: list[int] = []

    async def getmany(self, *places: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, Any]:
        self.asked.append(max_records)
        return {PLACE: self._polls.pop(0)} if self._polls else {}

    def assignment(self) -> set[TopicPartition]:
        return set()


def make_poller(stored: int) -> Poller:
    shelf = Shelf(batch_events=1000, batch_bytes=16 * HELPING_BYTES, buffer_bytes=32 * HELPING_BYTES)
    shelf.put(0, {PLACE: Feed("usage", 0, stored)})
    return Poller(shelf, 10)


@pytest.mark.parametrize("stored", [0, 9, 100], ids=["all taken", "one taken", "none taken"])
async def test_the_next_helping_follows_from_all_that_came(stored: int) -> None:
    """Records that were here before and are dropped do not pass for small ones."""
    consumer = ScriptedConsumer([Raw(n, LARGE) for n in range(10)])
    await make_poller(stored)._poll(consumer)
    assert consumer.asked == [HELPING_BYTES // FIRST_RECORD_BYTES, HELPING_BYTES // (len(LARGE) + RECORD_BYTES)]
