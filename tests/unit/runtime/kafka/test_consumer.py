"""What a consumer says of its lag."""

from typing import cast

from meter.runtime.kafka import ShardConsumer
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.settings import Settings
from tests.integration.runtime_ledger import Ledger

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
