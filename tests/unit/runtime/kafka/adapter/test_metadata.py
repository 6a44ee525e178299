"""Reading what brokers say about topics."""

import uuid

import pytest
from aiokafka import errors as kafka_errors

from meter.runtime.kafka.adapter.metadata import MetadataRequestV10, MetadataResponseV10, TopicIdRequest, read_topic
from meter.runtime.kafka.adapter.protocols import TopicInfo

TOPIC_ID = uuid.UUID("93b8e114-49d5-48e5-97e2-424ba4661cbb")


def topic(error_code: int = 0, **more: object) -> dict[str, object]:
    partitions = [{"replicas": [1, 2, 3]}, {"replicas": [2, 3]}, {"replicas": [1, 2, 3]}]
    return {"topic": "t", "error_code": error_code, "partitions": partitions, **more}


def test_reads_identity_and_partitions() -> None:
    assert read_topic([topic(topic_id=TOPIC_ID)], "t") == TopicInfo("t", str(TOPIC_ID), 3, {}, copies=2)


def test_an_old_broker_gives_no_identity() -> None:
    info = read_topic([topic()], "t")
    assert info is not None
    assert info.topic_id == ""


def test_an_unknown_topic_is_none() -> None:
    assert read_topic([topic(kafka_errors.UnknownTopicOrPartitionError.errno)], "t") is None
    assert read_topic([], "t") is None


def test_a_forbidden_topic_is_an_error() -> None:
    with pytest.raises(kafka_errors.TopicAuthorizationFailedError):
        read_topic([topic(kafka_errors.TopicAuthorizationFailedError.errno)], "t")


def test_the_request_names_one_topic_and_creates_none() -> None:
    request = TopicIdRequest("metering.usage").build(MetadataRequestV10)
    assert request.encode() == b"\x02" + bytes(16) + b"\x0fmetering.usage\x00" + b"\x00\x00\x00" + b"\x00"


def test_the_response_is_read_with_its_id() -> None:
    response = MetadataResponseV10(0, [], None, 1, [(0, "t", TOPIC_ID, False, [], 0, {})], 0, {})
    decoded = MetadataResponseV10.decode(response.encode()).to_object()
    assert decoded["topics"][0]["topic_id"] == TOPIC_ID
