from typing import Any

import pytest

from schemas.reasons import Reason
from schemas.topics import ACCOUNTS, USAGE
from tests.unit.schemas.builders import accept, make_event, make_record, record_of, reject, to_bytes

GOOD = to_bytes(make_event())


@pytest.mark.parametrize("value", [b"[]", b"1", b'"text"', b"null", b"[" + GOOD + b"]"])
def test_json_that_is_no_object(value: bytes) -> None:
    assert reject(make_record(value)).reason is Reason.NOT_CLOUDEVENTS


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": None},
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"type": None},
        {"type": ""},
        {"type": 5},
        {"source": None},
        {"source": ""},
        {"source": "x" * 1025},
        {"source": "a\nb"},
        {"source": ["a"]},
        {"trace": {"a": 1}},
        {"trace": [1]},
        {"Trace": "1"},
        {"tr-ace": "1"},
        {"": "1"},
        {"data_base64": "e30="},
    ],
)
def test_not_cloudevents(changes: dict[str, Any]) -> None:
    assert reject(record_of(make_event(**changes))).reason is Reason.NOT_CLOUDEVENTS


@pytest.mark.parametrize(
    "media", [b"application/cloudevents-batch+json", b"application/cloudevents+avro", b"application/cloudevents"]
)
def test_other_formats_of_cloudevents(media: bytes) -> None:
    assert reject(make_record(GOOD, headers=(("Content-Type", media),))).reason is Reason.NOT_CLOUDEVENTS


@pytest.mark.parametrize("type", ["usage.model_inference.v2", "x" * 5000, "balance.changed.v1", "usage.guardrail.v1 "])
def test_unknown_types(type: str) -> None:
    assert reject(make_record(to_bytes({**make_event(), "type": type}))).reason is Reason.UNKNOWN_TYPE


@pytest.mark.parametrize(
    ("type", "topic"), [("credits.granted.v1", USAGE), ("usage.reversed.v1", USAGE), ("usage.tool_run.v1", ACCOUNTS)]
)
def test_usage_cannot_grant_itself_credits(type: str, topic: str) -> None:
    assert reject(record_of(make_event(type), topic=topic)).reason is Reason.WRONG_TOPIC


@pytest.mark.parametrize(
    "id",
    [
        None,
        "",
        5,
        "x" * 129,
        " ",
        "  " * 64,
        "order\t7",
        "order\x7f",
        "Bestellung-ä",
        "注文7",
        "019b76da-a800-79ab-aa7b-5bf55eb561a4\n",
        "٠19b76da-a800-79ab-aa7b-5bf55eb561a4",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_ids(id: Any) -> None:
    assert reject(record_of(make_event(id=id))).reason is Reason.INVALID_ID


def test_the_nil_uuid_is_refused_with_the_reason_said() -> None:
    bad = reject(record_of(make_event(id="00000000-0000-0000-0000-000000000000")))
    assert bad.detail == "id is the nil UUID, which broken producers send for every event"


@pytest.mark.parametrize("type", ["usage.tool_run.v1", "credits.granted.v1"])
def test_the_meters_own_source_is_refused_to_others(type: str) -> None:
    """On both topics, whatever the id: else somebody could take the place of a free grant."""
    for id in ("order-7", "faf04296-1c18-8619-aa97-ca44c60966f7"):
        bad = reject(record_of(make_event(type, id=id, source="/credit-meter/meter")))
        assert bad.reason is Reason.SOURCE_RESERVED


@pytest.mark.parametrize("subject", [None, "", 5, "x" * 129, "a b", "a/b", "ä", "a\n", "acct-1\n"])
def test_subjects(subject: Any) -> None:
    key = str(subject).encode()
    assert reject(record_of(make_event(subject=subject), key=key)).reason is Reason.INVALID_SUBJECT


@pytest.mark.parametrize("key", [b"acct-2", b"ACCT-1", b"acct-1 ", b"\xff", b"\x00\x00\x00\x00\x05acct-1"])
def test_keys(key: bytes) -> None:
    assert reject(record_of(make_event(), key=key)).reason is Reason.KEY_MISMATCH


@pytest.mark.parametrize(
    "time",
    [
        "",
        1_772_000_000,
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01 12:00:00Z",
        "2026-W09-7T12:00:00Z",
        "2026-03-01T12:00:00,5Z",
        "2026-02-30T12:00:00Z",
        "0001-01-01T00:00:00+10:00",
        "yesterday",
        "2026-03-01T12:00:00.Z",
    ],
)
def test_times(time: Any) -> None:
    assert reject(record_of(make_event(time=time))).reason is Reason.INVALID_TIME


@pytest.mark.parametrize("time", ["2026-03-01T13:00:00.000001Z", "2026-03-01T13:00:01+00:00", "9999-12-31T23:59:59Z"])
def test_times_ahead(time: str) -> None:
    rejected = reject(record_of(make_event(time=time)))
    assert rejected.reason is Reason.TIME_AHEAD
    assert "ahead of the meter's clock; at most 1 h is taken" in rejected.detail
    assert "METERING_MAX_AHEAD_S" in rejected.reason.advice


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2025-01-25T11:59:59.999999Z"])
def test_times_behind(time: str) -> None:
    rejected = reject(record_of(make_event(time=time)))
    assert rejected.reason is Reason.TIME_BEHIND
    assert " old; at most 400 days is taken" in rejected.detail
    assert "METERING_MAX_BEHIND_S" in rejected.reason.advice


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), 2**63 - 1])
def test_a_missing_time_needs_a_timestamp_of_kafka(timestamp_ms: int) -> None:
    record = record_of(make_event(time=None))._replace(timestamp_ms=timestamp_ms)
    assert reject(record).reason is Reason.INVALID_TIME


@pytest.mark.parametrize("prefix", ["ce-", "CE-", "cloudEvents:"])
def test_headers_of_other_bindings_are_named(prefix: str) -> None:
    headers = ((f"{prefix}id", b"1"), (f"{prefix}specversion", b"1.0"), ("content-type", b"application/json"))
    rejected = reject(make_record(b'{"credits":"1","guardrail":"g"}', headers=headers))
    assert rejected.reason is Reason.NOT_CLOUDEVENTS
    assert rejected.detail.endswith("Kafka's binary mode wants the prefix ce_, like ce_id")


def test_headers_of_other_bindings_beside_a_whole_event_mean_nothing() -> None:
    assert accept(make_record(GOOD, headers=(("ce-id", b"1"),)))
