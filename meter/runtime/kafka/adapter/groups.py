"""One consumer group, with aiokafka, for who is not in it."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AiokafkaPartition
from aiokafka.admin import AIOKafkaAdminClient

from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.kafka.adapter.patches import patch_aiokafka
from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.adapter.stopping import stop_quietly
from meter.runtime.settings import Settings

STOP_TIMEOUT_S = 5


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
        found = await self.inner.describe_consumer_groups([self._group])
        return sum(len(group[5]) for response in found for group in response.groups)

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
