"""What a consumer says of its lag, how long it waits for records, and how it stops."""

import asyncio
from collections.abc import Sequence
from typing import cast

from meter.runtime.kafka import ShardConsumer
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.settings import Settings
from tests.integration.runtime_ledger import Ledger
from tests.support.virtual_loop import run_virtually

USAGE_0, USAGE_1 = TopicPartition("usage", 0), TopicPartition("usage", 1)


class Client:
    """Answers for assigned partitions only, as aiokafka does."""

    def __init__(self, assigned: set[TopicPartition], stable: int | None) -> None:
        self._assigned = assigned
        self._stable = stable

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        assert partition in self._assigned
        return self._stable

    leaderless: TopicPartition | None = None

    def has_leader(self, partition: TopicPartition) -> bool:
        return partition != self.leaderless

    def highwater(self, partition: TopicPartition) -> int | None:
        assert partition in self._assigned
        return 9


def make_consumer(client: Client) -> ShardConsumer:
    consumer = ShardConsumer(Settings(), topics=("usage",), group="meter", store=Ledger())
    for tp in (USAGE_0, USAGE_1):
        consumer._buffers.put(tp.partition, {tp: PartitionBuffer("usage", tp.partition, 2)})
    consumer._client = cast(ConsumerClient, client)
    return consumer


def test_lag_reaches_to_the_last_stable_offset() -> None:
    assert make_consumer(Client({USAGE_0, USAGE_1}, stable=5)).lag() == 6


def test_lag_reaches_to_the_high_watermark_while_the_stable_offset_is_not_known() -> None:
    for unknown in (None, -1):
        assert make_consumer(Client({USAGE_0, USAGE_1}, stable=unknown)).lag() == 14


def test_a_partition_revoked_between_two_steps_of_the_loop_does_not_count() -> None:
    assert make_consumer(Client({USAGE_1}, stable=5)).lag() == 3


def test_what_cannot_be_fetched_because_a_leader_is_away_is_no_work_that_another_process_could_do() -> None:
    """Else the watchdog ends the process. What is buffered of it can be stored all the same."""
    client = Client({USAGE_0, USAGE_1}, stable=5)
    client.leaderless = USAGE_0
    consumer = make_consumer(client)
    assert consumer.lag() == 3
    held = consumer._buffers.partitions[USAGE_0]
    held.next = held.in_flight_end = held.stored + 2
    assert consumer.lag() == 5


async def test_a_commit_that_fails_in_any_way_keeps_no_member_in_its_group() -> None:
    class Broken(Client):
        stopped = False

        async def commit(self, _offsets: object) -> None:
            raise RuntimeError("the handler is closed")

        async def stop(self, _timeout_s: float) -> None:
            self.stopped = True

    client = Broken({USAGE_0}, stable=5)
    consumer = make_consumer(client)
    consumer._commits.note("usage", 0, 3)
    await consumer.stop()
    assert client.stopped


class Quiet(Client):
    """Nothing comes."""

    stayed = 0

    def check_group(self) -> None: ...

    def stay(self) -> None:
        self.stayed += 1

    def has_stopped_fetching(self) -> bool:
        return False

    async def poll(self, _partitions: Sequence[TopicPartition], **_limits: int) -> None:
        await asyncio.Event().wait()


def make_quiet_consumer() -> ShardConsumer:
    consumer = make_consumer(Quiet({USAGE_0, USAGE_1}, stable=5))
    consumer._assignment.shards = frozenset({0, 1})
    return consumer


def test_it_waits_for_a_calm_poll_unless_it_is_woken() -> None:
    async def receive_twice() -> list[float]:
        consumer, now = make_quiet_consumer(), asyncio.get_running_loop().time
        waited = []
        for wake_after_s in (None, 0.2):
            began = now()
            receiving = asyncio.create_task(consumer.receive())
            if wake_after_s is not None:
                await asyncio.sleep(wake_after_s)
                consumer.wake()
            assert await receiving == []
            waited.append(round(now() - began, 2))
        return waited

    assert run_virtually(receive_twice()) == [0.5, 0.2]


def test_it_goes_round_while_a_shard_waits_to_be_read() -> None:
    async def receive() -> float:
        consumer, loop = make_quiet_consumer(), asyncio.get_running_loop()
        consumer._assignment.shards = frozenset({0, 1, 2})
        consumer._assignment._pauses[2] = (1, loop.time() + 60)
        began = loop.time()
        assert await consumer.receive() == []
        return round(loop.time() - began, 2)

    assert run_virtually(receive()) == Settings().poll_ms / 1000


def test_a_member_that_has_nothing_to_poll_stays_in_its_group() -> None:
    async def receive() -> tuple[int, int]:
        stayed = []
        for is_bare in (True, False):
            client = Quiet(set() if is_bare else {USAGE_0, USAGE_1}, stable=5)
            consumer = make_consumer(client)
            if is_bare:
                consumer._buffers.clear()
            await consumer.receive()
            stayed.append(client.stayed)
        return stayed[0], stayed[1]

    assert run_virtually(receive()) == (1, 0)


class Away(Quiet):
    """A position that is known of one partition, and one that does not answer."""

    def fetched_at(self, partition: TopicPartition) -> int | None:
        return 70 + partition.partition


def test_what_should_be_fetched_and_what_is_silent_is_told_by_the_logical_topic() -> None:
    consumer = make_consumer(Away({USAGE_1}, stable=5))
    consumer._names["usage"] = "prefix.usage"
    consumer._assignment.away.silent[TopicPartition("prefix.usage", 4)] = "no answer came in time"
    assert consumer.list_fetched() == {("usage", 1): 71}
    assert consumer.list_silent() == {("usage", 4): "no answer came in time"}
