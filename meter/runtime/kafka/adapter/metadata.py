"""Describe a topic with Metadata version 10, which carries the topic id. aiokafka 0.14 stops at version 5, without it.

https://kafka.apache.org/protocol#The_Messages_Metadata
"""

import uuid
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from meter.runtime.kafka.adapter.protocols import TopicInfo

ZERO = uuid.UUID(int=0)


class Uuid(AbstractType):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class MetadataResponseV10(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequestV10(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponseV10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdRequest(Request[MetadataRequestV10]):  # type: ignore[misc]
    """Asks for one topic with its id; brokers before 2.8 do not know this request."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def build(self, request_struct_class: type[MetadataRequestV10]) -> MetadataRequestV10:
        return request_struct_class([(ZERO, self.topic, {})], False, False, False, {})


async def fetch_topic(client: Any, name: str) -> TopicInfo | None:
    """Ask for a topic without creating it: most brokers create a topic when aiokafka's own metadata request names it.

    `client` is an AIOKafkaClient.
    """
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
        copies = min((len(partition["replicas"]) for partition in topic["partitions"]), default=0)
        return TopicInfo(name, "" if topic_id == ZERO else str(topic_id), len(topic["partitions"]), {}, copies)
    return None
