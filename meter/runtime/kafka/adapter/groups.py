"""One consumer group, with aiokafka, for who is not in it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AiokafkaPartition
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient

from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.kafka.adapter.patches import patch_aiokafka
from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.adapter.stopping import stop_quietly
from meter.runtime.settings import Settings

STOP_TIMEOUT_S = 5
GROUP_ID_NOT_FOUND: Final = 69  # said of a group that is gone by newer brokers; older ones say that it is dead


class AiokafkaGroup:
    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._group = group
        self.inner: Any = AIOKafkaAdminClient(**client_options(settings), client_id="credit-groups")

    async def start(self) -> None:
        patch_aiokafka()
        await self.inner.start()

    async def stop(self, timeout_s: float) -> None:
        await stop_quietly(self.inner, timeout_s)

    async def count_members(self) -> int:
        """Of a group that nobody knows 0. Raises KafkaError: who cannot be asked is not known to have no members."""
        found = await self.inner.describe_consumer_groups([self._group])
        return sum(count_of(group) for response in found for group in response.groups)

    async def fetch_committed(self) -> Mapping[TopicPartition, int]:
        found = await self.inner.list_consumer_group_offsets(self._group)
        return {TopicPartition(tp.topic, tp.partition): committed.offset for tp, committed in found.items()}

    async def set_committed(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """The broker takes it from outside only while the group has no members."""
        client: Any = AIOKafkaConsumer(
            **client_options(self._settings), group_id=self._group, enable_auto_commit=False, auto_offset_reset="none"
        )
        try:
            await client.start()
            partitions = {AiokafkaPartition(*place): offset for place, offset in offsets.items()}
            client.assign(list(partitions))
            await client.commit(partitions)
        finally:
            await stop_quietly(client, STOP_TIMEOUT_S)


def count_of(group: Sequence[Any]) -> int:
    """Members of a group as DescribeGroups has it: error, group, state, protocol type, protocol, members, …"""
    code, members = group[0], group[5]
    if code not in (0, GROUP_ID_NOT_FOUND):
        raise kafka_errors.for_code(code)(group[1])
    return len(members)
