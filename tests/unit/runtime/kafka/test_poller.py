"""How much one poll asks for: the estimated size of the records bounds the memory."""

from typing import Any, cast

import pytest

from meter.runtime.kafka.adapter.protocols import RECORD_BYTES, ConsumerClient, TopicPartition
from meter.runtime.kafka.pace import FetchPace
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.kafka.poller import CALM_POLL_MS, FIRST_RECORD_BYTES, Poller
from meter.runtime.kafka.shard_buffers import FETCH_BYTES, ShardBuffers
from tests.unit.runtime.kafka.test_shard_buffers import Raw

LARGE = b"v" * 64 * 1024
USAGE_0 = TopicPartition("usage", 0)


class ScriptedClient:
    """Delivers the given records, poll after poll, and notes how many records each poll asked for."""

    def __init__(self, *polls: list[Raw]) -> None:
        self._polls = list(polls)
        self.asked: list[int] = []
        self.waits: list[int] = []

    async def poll(self, _partitions: Any, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Raw]]:
        self.asked.append(max_records)
        self.waits.append(timeout_ms)
        return {USAGE_0: self._polls.pop(0)} if self._polls else {}

    def assignment(self) -> set[TopicPartition]:
        return set()

    def gather(self, wait_s: float) -> None:
        self.wait_s = wait_s


def make_poller(stored: int) -> Poller:
    buffers = ShardBuffers(
        batch_events=1000, batch_bytes=16 * FETCH_BYTES, buffer_bytes=32 * FETCH_BYTES, concurrency=4
    )
    buffers.put(0, {USAGE_0: PartitionBuffer("usage", 0, stored)})
    return Poller(buffers, 10, FetchPace(0.04))


@pytest.mark.parametrize("stored", [0, 9, 100], ids=["all taken", "one taken", "none taken"])
async def test_the_next_poll_asks_by_the_size_of_all_records_of_the_last_one(stored: int) -> None:
    """Records that the buffer drops, because it has had them, do not count as small ones."""
    client = ScriptedClient([Raw(n, LARGE) for n in range(10)])
    await make_poller(stored)._poll(cast(ConsumerClient, client))
    assert client.asked == [FETCH_BYTES // FIRST_RECORD_BYTES, FETCH_BYTES // (len(LARGE) + RECORD_BYTES)]


POLL_MS = 10  # of `make_poller`


async def test_a_poll_waits_long_while_nothing_comes() -> None:
    poller, client = make_poller(0), ScriptedClient()
    await poller._poll(cast(ConsumerClient, client))
    assert client.waits == [CALM_POLL_MS]


async def test_only_the_first_look_of_a_poll_waits() -> None:
    poller, client = make_poller(0), ScriptedClient([Raw(0, b"v")])
    await poller._poll(cast(ConsumerClient, client))
    assert client.waits == [CALM_POLL_MS, 0]


async def test_a_poll_waits_no_longer_than_the_setting_while_much_comes() -> None:
    poller, client = make_poller(0), ScriptedClient([Raw(n, b"v") for n in range(100)])
    await poller._poll(cast(ConsumerClient, client))
    client.waits.clear()
    await poller._poll(cast(ConsumerClient, client))
    assert client.waits == [POLL_MS]


async def test_a_poll_that_leaves_a_full_partition_out_soon_lets_it_in_again() -> None:
    poller, client = make_poller(0), ScriptedClient()
    full = PartitionBuffer("usage", 1, 0)
    full.offer([Raw(n, b"v") for n in range(2000)], 2000)  # two batches
    poller._buffers.put(1, {TopicPartition("usage", 1): full})
    assert poller._buffers.find_fetchable() == [USAGE_0]
    await poller._poll(cast(ConsumerClient, client))
    assert client.waits == [POLL_MS]


async def test_a_setting_that_waits_longer_holds() -> None:
    poller, client = make_poller(0), ScriptedClient()
    poller._poll_ms = 2 * CALM_POLL_MS
    await poller._poll(cast(ConsumerClient, client))
    assert client.waits == [2 * CALM_POLL_MS]
