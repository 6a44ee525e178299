"""Events as the CloudEvents SDK of the CNCF writes them, in both modes of the Kafka binding."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from schemas.parsing.parse import Accepted, Record
from schemas.reasons import Reason
from schemas.topics import USAGE
from tests.unit.schemas.builders import (
    ACCOUNT,
    EVENT_ID,
    EXAMPLES,
    STRUCTURED,
    accept,
    make_event,
    make_record,
    record_of,
    reject,
    to_bytes,
)

HEADERS = tuple(
    (f"ce_{name}", value.encode()) for name, value in make_event().items() if name not in ("data", "datacontenttype")
)
JSON = (("content-type", b"application/json"),)
DATA = to_bytes(EXAMPLES["usage.guardrail.v1"])


def make_sdk_event(type: str, data: Any, **more: Any) -> CloudEvent:
    attributes = {
        "id": EVENT_ID,
        "source": "/agents/1",
        "type": type,
        "subject": ACCOUNT,
        "time": datetime(2026, 3, 1, 11, 0, 0, 5, tzinfo=UTC),
        "datacontenttype": "application/json",
        "specversion": "1.0",
        **more,
    }
    return CloudEvent(attributes, data)


def read(message: KafkaMessage) -> Accepted:
    return accept(make_record(message.value, headers=tuple(message.headers.items()), topic=topic_of(message)))


def topic_of(message: KafkaMessage) -> str:
    text = (message.headers.get("ce_type") or message.value).decode()
    return USAGE if "usage.reversed" not in text and ("usage." in text or "item." in text) else "metering.accounts"


@pytest.mark.parametrize("type", EXAMPLES)
def test_both_modes_of_the_sdk_are_read_alike(type: str) -> None:
    event = make_sdk_event(type, EXAMPLES[type], traceparent="00-ab-cd-01")
    structured, binary = read(to_structured_event(event)), read(to_binary_event(event))
    assert structured == binary
    assert structured.occurred_at == datetime(2026, 3, 1, 11, 0, 0, 5, tzinfo=UTC)
    assert json.loads(structured.data) == EXAMPLES[type]
    assert json.loads(structured.extensions or "") == {"traceparent": "00-ab-cd-01"}


def test_bytes_given_to_the_sdk_are_read() -> None:
    """It writes them as data_base64 in structured mode."""
    event = make_sdk_event("usage.guardrail.v1", DATA)
    assert b"data_base64" in to_structured_event(event).value
    assert read(to_structured_event(event)) == read(to_binary_event(event))
    assert read(to_structured_event(event)).data == DATA.decode()


def binary(value: bytes | None = DATA, headers: Any = (*HEADERS, *JSON)) -> Record:
    return make_record(value, headers=headers)


def test_binary_and_structured_give_the_same_event() -> None:
    assert accept(binary()) == accept(record_of(make_event()))


def test_header_names_are_read_in_any_case() -> None:
    headers = tuple((name.upper(), value) for name, value in (*HEADERS, *JSON))
    assert accept(binary(headers=headers)) == accept(binary())


def test_other_headers_mean_nothing() -> None:
    headers = (("traceparent", b"\xff\x00"), ("schema", b"7"), *HEADERS, *JSON)
    assert accept(binary(headers=headers)) == accept(binary())


def test_binary_data_is_kept_as_sent() -> None:
    data = b' { "credits" : 1.50, "guardrail": "g" }\n'
    assert accept(binary(data)).data == data.decode().strip()


@pytest.mark.parametrize(
    "headers",
    [
        (),
        STRUCTURED,
        (("Content-Type", b"application/CloudEvents+JSON ; charset=UTF-8"),),
        JSON,
        (("trace", b"1"), *STRUCTURED),
        [*STRUCTURED],
    ],
)
def test_structured_events_are_told_by_their_header_or_themselves(headers: Any) -> None:
    assert accept(make_record(to_bytes(make_event()), headers=headers)) == accept(record_of(make_event()))


def test_the_content_type_decides_the_mode() -> None:
    headers = (*STRUCTURED, ("ce_id", b"nonsense"), ("ce_specversion", b"9"))
    assert accept(make_record(to_bytes(make_event()), headers=headers)).event_id == EVENT_ID


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((*HEADERS, ("ce_id", b"1"), *JSON), Reason.DUPLICATE_KEY),
        ((*HEADERS, ("CE_ID", b"1"), *JSON), Reason.DUPLICATE_KEY),
        ((*HEADERS, ("ce_trace", b"\xff"), *JSON), Reason.INVALID_TEXT),
        ((*HEADERS, ("ce_trace", b"a\x00b"), *JSON), Reason.INVALID_TEXT),
        ((*HEADERS, ("ce_tr-ace", b"a"), *JSON), Reason.NOT_CLOUDEVENTS),
        ((*HEADERS[1:], *JSON), Reason.NOT_CLOUDEVENTS),
        ((*HEADERS, ("content-type", b"text/plain")), Reason.INVALID_DATA),
        ((*HEADERS, ("content-type", b"\xff")), Reason.INVALID_TEXT),
        (tuple(header for header in HEADERS if header[0] != "ce_id"), Reason.INVALID_ID),
        (tuple((name, b"" if name == "ce_time" else value) for name, value in HEADERS), Reason.INVALID_TIME),
    ],
)
def test_broken_headers(headers: Any, reason: Reason) -> None:
    assert reject(binary(headers=headers)).reason is reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"x", Reason.NOT_JSON),
        (b"\xff", Reason.NOT_JSON),
        (b"[]", Reason.INVALID_DATA),
        (b'{"credits":1,"credits":1}', Reason.DUPLICATE_KEY),
        (None, Reason.EMPTY),
    ],
)
def test_broken_values(value: bytes | None, reason: Reason) -> None:
    assert reject(binary(value)).reason is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [("e30=", Reason.INVALID_DATA), ("e30", Reason.INVALID_DATA), ("/w==", Reason.NOT_JSON), (5, Reason.NOT_JSON)],
)
def test_broken_base64(text: Any, reason: Reason) -> None:
    event = {**make_event(), "data_base64": text}
    del event["data"]
    assert reject(make_record(to_bytes(event))).reason is reason
