"""The admin client of `protocols`, with aiokafka, and a bare connection for probes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest

from meter.runtime.kafka.adapter.metadata import fetch_topic
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.kafka.adapter.protocols import TopicInfo
from meter.runtime.kafka.adapter.stopping import stop_quietly
from meter.runtime.settings import Settings

CHANGE_TIMEOUT_MS = 30_000


class AiokafkaAdmin:
    """Implements `AdminClient`."""

    def __init__(self, settings: Settings, *, client_id: str) -> None:
        self.inner: Any = AIOKafkaAdminClient(**client_options(settings), client_id=client_id)

    async def start(self) -> None:
        await self.inner.start()

    async def stop(self, timeout_s: float) -> None:
        await stop_quietly(self.inner, timeout_s)

    async def describe_topic(self, name: str) -> TopicInfo | None:
        return await fetch_topic(self.inner._client, name)

    async def fetch_config(self, name: str) -> Mapping[str, str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        try:
            responses = await self.inner.describe_configs([resource])
        except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion):
            return {}
        config: dict[str, str] = {}
        for response in responses:
            for code, _message, _kind, _name, entries in response.resources:
                # Without the right the answer is empty: what is not known must not look like what is as it should be.
                if kafka_errors.for_code(code) is kafka_errors.TopicAuthorizationFailedError:
                    raise kafka_errors.TopicAuthorizationFailedError(f"DescribeConfigs on {name}")
                config.update((entry[0], entry[1]) for entry in entries)
        return config

    async def create_topic(
        self, name: str, *, partitions: int, replication_factor: int, config: Mapping[str, str]
    ) -> Exception | None:
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=replication_factor, topic_configs=dict(config)
        )
        response = await self.inner.create_topics([topic], timeout_ms=CHANGE_TIMEOUT_MS)
        # Another setup may have been faster: then the topic is there, too.
        return find_refusal(response.topic_errors, kafka_errors.TopicAlreadyExistsError)

    async def delete_topic(self, name: str) -> Exception | None:
        response = await self.inner.delete_topics([name], timeout_ms=CHANGE_TIMEOUT_MS)
        return find_refusal(response.topic_error_codes, kafka_errors.UnknownTopicOrPartitionError)


def find_refusal(answers: Iterable[Sequence[Any]], done: type[Exception]) -> Exception | None:
    """What the brokers answer does not raise by itself. `done`: it was as wanted before."""
    for _name, code, *message in answers:
        kind = kafka_errors.for_code(code)
        if kind is not kafka_errors.NoError and kind is not done:
            refusal: Exception = kind(*message)
            return refusal
    return None


class BrokerConnection:
    """Connections to the brokers that do nothing but ask whether one answers."""

    def __init__(self, settings: Settings, *, client_id: str, request_timeout_ms: int) -> None:
        options = client_options(settings) | {"request_timeout_ms": request_timeout_ms}
        self.inner: Any = AIOKafkaClient(**options, client_id=client_id)

    async def connect(self) -> None:
        await self.inner.bootstrap()

    async def ask(self) -> None:
        """Have any broker answer, with the names of the brokers alone. Raises when none does."""
        node = self.inner.get_random_node()
        if node is None:
            raise ConnectionError("no broker is known")
        await self.inner.send(node, MetadataRequest([], allow_auto_topic_creation=False))

    async def stop(self, timeout_s: float) -> None:
        await stop_quietly(self.inner, timeout_s)
