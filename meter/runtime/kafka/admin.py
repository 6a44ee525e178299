"""Topics: what they are (identity, partitions, configuration, offset ranges) and making them."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest

from meter.runtime.errors import DependencyUnreachableError, RefusalError
from meter.runtime.kafka.client import client_options, stop_quietly
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.kafka.metadata import ZERO, TopicIdRequest
from meter.runtime.settings import Settings
from schemas.topics import TopicSpec

STOP_TIMEOUT_S = 5
FETCH_ENDS_TIMEOUT_S = 15


class TopicInfo(NamedTuple):
    """A topic as the broker knows it. `topic_id` is "" where the broker does not tell."""

    topic: str
    topic_id: str
    partitions: int
    config: Mapping[str, str]


class TopicChange(NamedTuple):
    """What `ensure` found or did: action is created, kept or differs."""

    topic: str
    action: str
    detail: str


async def fetch_topic(client: AIOKafkaClient, name: str) -> TopicInfo | None:
    """Ask for a topic without making it: aiokafka's own metadata requests create missing topics on most brokers."""
    node = client.get_random_node()
    if node is None:
        raise kafka_errors.KafkaConnectionError("no broker is known")
    try:
        response = await client.send(node, TopicIdRequest(name))
    except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion):
        response = await client.send(node, MetadataRequest([name], allow_auto_topic_creation=False))
    return read_topic(response.to_object()["topics"], name)


def read_topic(topics: Iterable[Mapping[str, Any]], name: str) -> TopicInfo | None:
    for topic in topics:
        if topic["topic"] != name:
            continue
        error = kafka_errors.for_code(topic["error_code"])
        if error is kafka_errors.UnknownTopicOrPartitionError:
            return None
        if error is not kafka_errors.NoError and error is not kafka_errors.LeaderNotAvailableError:
            raise error(name)
        topic_id = topic.get("topic_id", ZERO)
        return TopicInfo(name, "" if topic_id == ZERO else str(topic_id), len(topic["partitions"]), {})
    return None


class TopicAdmin:
    """Admin client. Topic names are the logical ones of `schemas.topics`; the prefix is added here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AIOKafkaAdminClient | None = None

    async def start(self) -> None:
        admin = AIOKafkaAdminClient(**client_options(self._settings), client_id="credit-admin")
        try:
            await admin.start()
        except BaseException as error:
            await stop_quietly(admin, STOP_TIMEOUT_S)
            if is_transient(error):
                raise unreachable(error, f"connecting to {self._settings.kafka_bootstrap}") from error
            raise
        self._admin = admin

    async def stop(self) -> None:
        if self._admin is not None:
            admin, self._admin = self._admin, None
            await stop_quietly(admin, STOP_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def _started(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise RuntimeError("TopicAdmin is not started")
        return self._admin

    async def find(self, topic: str) -> TopicInfo | None:
        """Identity and partitions, without the configuration."""
        info = await fetch_topic(self._started._client, self._settings.topic(topic))
        return None if info is None else info._replace(topic=topic)

    async def describe(self, topic: str) -> TopicInfo | None:
        """Identity, partitions and configuration; None where there is no such topic."""
        info = await self.find(topic)
        if info is None:
            return None
        return info._replace(config=await self._fetch_config(self._settings.topic(topic)))

    async def _fetch_config(self, name: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        try:
            responses = await self._started.describe_configs([resource])
        except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion):
            return {}
        config: dict[str, str] = {}
        for response in responses:
            for _code, _message, _kind, _name, entries in response.resources:
                config.update((entry[0], entry[1]) for entry in entries)
        return config

    async def ensure(self, specs: Iterable[TopicSpec], replication_factor: int) -> list[TopicChange]:
        """Make the topics that are missing; report how the others differ, change nothing about them."""
        return [await self._ensure_one(spec, replication_factor) for spec in specs]

    async def _ensure_one(self, spec: TopicSpec, replication_factor: int) -> TopicChange:
        info = await self.describe(spec.name)
        if info is None:
            await self._create(spec, replication_factor)
            await self._wait_until_known(spec.name)
            return TopicChange(spec.name, "created", f"{spec.partitions} partitions")
        differences = find_differences(spec, info)
        return TopicChange(spec.name, "differs" if differences else "kept", "; ".join(differences))

    async def _create(self, spec: TopicSpec, replication_factor: int) -> None:
        topic = NewTopic(
            self._settings.topic(spec.name),
            num_partitions=spec.partitions,
            replication_factor=replication_factor,
            topic_configs=wanted_config(spec),
        )
        response = await self._started.create_topics([topic], timeout_ms=30_000)
        for _name, code, *message in response.topic_errors:
            error = kafka_errors.for_code(code)
            if error is kafka_errors.NoError or error is kafka_errors.TopicAlreadyExistsError:
                continue  # another setup was faster
            if is_transient(error()):
                raise unreachable(error(), f"creating topic {spec.name}")
            raise RefusalError(
                f"topic {spec.name} could not be created: {error.__name__} {' '.join(map(str, message))}"
            )

    async def _wait_until_known(self, topic: str) -> None:
        """The controller has made it; brokers hear of it a moment later."""
        for pause_s in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0):
            if await self.find(topic) is not None:
                return
            await asyncio.sleep(pause_s)
        raise DependencyUnreachableError(f"topic {topic} was made but is not known yet", dependency="kafka")

    async def delete(self, topic: str) -> None:
        """Delete a topic with all its records (tests, demo)."""
        await self._started.delete_topics([self._settings.topic(topic)], timeout_ms=30_000)

    async def beginning_offsets(self, topic: str) -> dict[int, int]:
        """First offset still there, per partition."""
        return await self._fetch_offsets(topic, beginning=True)

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """Offset of the next record to be written, per partition."""
        return await self._fetch_offsets(topic, beginning=False)

    async def _fetch_offsets(self, topic: str, *, beginning: bool) -> dict[int, int]:
        info = await self.find(topic)
        if info is None:
            raise RefusalError(f"there is no topic {self._settings.topic(topic)}: run `meter setup`")
        partitions = [TopicPartition(self._settings.topic(topic), number) for number in range(info.partitions)]
        options = client_options(self._settings)
        consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=10)
        try:
            await consumer.start()
            if beginning:
                offsets = await consumer.beginning_offsets(partitions)
            else:
                offsets = await self._fetch_ends(consumer, partitions)
            return {tp.partition: offset for tp, offset in offsets.items()}
        finally:
            await stop_quietly(consumer, STOP_TIMEOUT_S)

    async def _fetch_ends(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[Any, int]:
        """The high watermark that comes with a fetch. ListOffsets alone is not enough: Tansu answers it with the first
        offset of the last batch, plus one.
        """
        listed = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for tp in partitions:
            consumer.seek(tp, listed[tp])
        async with asyncio.timeout(FETCH_ENDS_TIMEOUT_S):
            while any(consumer.highwater(tp) is None for tp in partitions):
                await consumer.getmany(timeout_ms=20)
        return {tp: max(listed[tp], consumer.highwater(tp)) for tp in partitions}


def wanted_config(spec: TopicSpec) -> dict[str, str]:
    return {
        "cleanup.policy": spec.cleanup_policy,
        "retention.ms": str(spec.retention_ms),
        "max.message.bytes": str(spec.max_message_bytes),
    }


def find_differences(spec: TopicSpec, info: TopicInfo) -> list[str]:
    found = []
    if info.partitions != spec.partitions:
        found.append(f"partitions: {info.partitions}, expected {spec.partitions}")
    for name, wanted in wanted_config(spec).items():
        actual = info.config.get(name)
        if actual is not None and actual != wanted:
            found.append(f"{name}: {actual}, expected {wanted}")
    return found
