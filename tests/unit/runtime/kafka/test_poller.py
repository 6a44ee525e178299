"""How much one poll asks for: the estimated size of the records bounds the memory."""

import asyncio
from typing import Any, cast

import pytest

from meter.runtime.kafka.adapter.consumer import IDLE_WAIT_MS
from meter.runtime.kafka.adapter.protocols import RECORD_BYTES, ConsumerClient, TopicPartition
from meter.runtime.kafka.asking import TOGETHER_S
from meter.runtime.kafka.pace import IDLE_S, FetchPace
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.kafka.poller import CALM_POLL_MS, FIRST_RECORD_BYTES, IDLE_POLL_MS, Poller
from meter.runtime.kafka.shard_buffers import FETCH_BYTES, ShardBuffers
from tests.support.virtual_loop import run_virtually
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

    def gather(self, wait_s: float, *, is_idle: bool) -> None:
        self.wait_s, self.is_idle = wait_s, is_idle


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


def test_a_poll_waits_longer_when_nothing_has_come_for_long_and_not_after_a_record() -> None:
    """A service at rest spends most of its time in fetches that find nothing."""

    async def wait() -> None:
        poller, client = make_poller(0), ScriptedClient()
        await poller._poll(cast(ConsumerClient, client))
        await asyncio.sleep(IDLE_S)
        await poller._poll(cast(ConsumerClient, client))
        assert client.is_idle and client.waits == [CALM_POLL_MS, CALM_POLL_MS]
        client._polls.append([Raw(0, b"v")])
        await poller._poll(cast(ConsumerClient, client))
        assert not client.is_idle and client.waits[2:] == [IDLE_POLL_MS, 0]
        await poller._poll(cast(ConsumerClient, client))
        assert client.waits[4:] == [CALM_POLL_MS]

    run_virtually(wait())


def test_what_is_asked_behind_an_idle_fetch_is_still_answered_together() -> None:
    """A broker answers one request of a connection after the other: where a partition begins is asked behind a fetch,
    and where it ends behind the next one."""
    assert 2 * IDLE_WAIT_MS / 1000 < TOGETHER_S
    assert IDLE_POLL_MS <= IDLE_WAIT_MS


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


class SilentClient(ScriptedClient):
    """No poll ends."""

    async def poll(self, _partitions: Any, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Raw]]:
        await asyncio.Event().wait()
        return {}


@pytest.mark.parametrize(
    ("calm", "gathers", "waited_ms"), [(True, False, CALM_POLL_MS), (False, False, POLL_MS), (True, True, POLL_MS)]
)
def test_who_waits_goes_round_only_when_something_may_be_due(calm: bool, gathers: bool, waited_ms: int) -> None:
    """While a calm poll stands a turn of the loop finds nothing: ten a second cost a service a tenth at rest."""

    async def wait() -> None:
        poller = make_poller(0)
        if gathers:
            poller._pace.note(1000, 0)
        poller.keep_polling(cast(ConsumerClient, SilentClient()))
        now = asyncio.get_running_loop().time
        began = now()
        await poller.wait(asyncio.Event(), calm=calm)
        assert now() - began == pytest.approx(waited_ms / 1000, abs=POLL_MS / 2000)
        await poller.stop()

    run_virtually(wait())


def test_who_waits_is_let_go_when_a_shard_is_free() -> None:
    async def wait() -> None:
        poller, freed = make_poller(0), asyncio.Event()
        poller.keep_polling(cast(ConsumerClient, SilentClient()))
        waiting = asyncio.create_task(poller.wait(freed, calm=True))
        await asyncio.sleep(0)
        freed.set()
        now = asyncio.get_running_loop().time
        began = now()
        await waiting
        assert now() - began < POLL_MS / 2000
        await poller.stop()

    run_virtually(wait())
