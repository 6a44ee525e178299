"""Parsing never raises and never hangs, whatever arrives."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.parsing import parse as parse_module
from schemas.parsing.parse import Accepted, Limits, Record, Rejected, Remarked, parse, parse_all
from schemas.reasons import InvalidEventError, Reason
from schemas.topics import ACCOUNTS, USAGE
from tests.support.examples import examples
from tests.unit.schemas.builders import EXAMPLES, LIMITS, NOW, make_event, make_record, reject, with_data

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
headers = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "ce_id", "ce_type", "ce_time", "ce_specversion", "CE_source", "ce_", "x"]),
        st.none()
        | st.binary(max_size=8)
        | st.sampled_from([b"1.0", b"usage.tool_run.v1", b"application/cloudevents+json"]),
    ),
    max_size=8,
)
topics = st.sampled_from([USAGE, ACCOUNTS, "another"])


def judge(record: Record) -> None:
    result = parse(record, NOW, LIMITS)
    if isinstance(result, Rejected):
        assert "parser failed" not in result.detail
    else:
        result = result.event if isinstance(result, Remarked) else result
        assert isinstance(result, Accepted)
        for text in (result.data, result.name, result.source, result.account_id, result.extensions or "{}"):
            assert "\x00" not in text
            text.encode()
        json.loads(result.data)
        json.loads(result.extensions or "{}")
        assert 0 <= result.amount < 2**63


@settings(max_examples=examples(300))
@given(topics, st.integers(-1, 2**31), st.none() | st.binary(), st.none() | st.binary(), headers)
def test_any_record(topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any) -> None:
    judge(Record(topic, partition, 0, -1, key, value, headers))


@settings(max_examples=examples(300))
@given(topics, json_values, headers)
def test_any_json(topic: str, value: Any, headers: Any) -> None:
    judge(make_record(json.dumps(value).encode(), topic=topic, headers=headers))


@settings(max_examples=examples(400))
@given(st.sampled_from(list(EXAMPLES)), st.data())
def test_any_value_in_the_place_of_another(type: str, data: st.DataObject) -> None:
    event = make_event(type, dict(EXAMPLES[type]))
    target = event["data"] if data.draw(st.booleans()) else event
    names = st.sampled_from(sorted(target)) if target else st.nothing()
    target[data.draw(names | st.text(max_size=5))] = data.draw(json_values)
    judge(make_record(json.dumps(event).encode(), topic=USAGE if type.startswith("usage.") else ACCOUNTS))


HUGE = 1_000_000
LARGE_LIMITS = Limits(partitions=12, max_bytes=10 * HUGE)


@pytest.mark.parametrize(
    "value",
    [
        b"[" * HUGE,
        b'{"a":' * HUGE,
        b'"' + b'\\"' * HUGE,
        b"1" * HUGE,
        b'{"a":1e' + b"9" * HUGE + b"}",
        b" " * HUGE,
        b'{"' + b"a" * HUGE,
        with_data('{"credits":' + "9" * HUGE + ',"guardrail":"g"}'),
        with_data('{"credits":"' + "9" * HUGE + '","guardrail":"g"}'),
        with_data('{"credits":"1","guardrail":"' + "x" * HUGE + '"}'),
        b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
        json.dumps(make_event(time="2" * HUGE)).encode(),
        json.dumps(
            make_event("account.contacts_changed.v1", {"contacts": ["a." * HUGE + "@example.com"] * 3})
        ).encode(),
        json.dumps(make_event("account.contacts_changed.v1", {"contacts": ["a@" + "b-" * HUGE] * 3})).encode(),
        json.dumps(make_event(datacontenttype="application/" + "a." * HUGE)).encode(),
    ],
    ids=lambda value: value[:12].decode(),
)
def test_megabytes_of_malice_cost_little(value: bytes) -> None:
    """All of it is linear; the worst pattern would take hours if it were quadratic."""
    started = time.process_time()
    reject(make_record(value, topic=ACCOUNTS if b"contacts" in value[:200] else USAGE), LARGE_LIMITS)
    assert time.process_time() - started < 3


def test_a_bug_costs_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(parse_module, "read_by_reference", fail)
    rejected = reject(make_record(b"{}"))
    assert rejected.reason is Reason.INVALID_DATA
    assert "a bug" in rejected.detail


def test_a_batch_is_judged_record_by_record() -> None:
    good = make_record(json.dumps(make_event()).encode())
    records = [good, make_record(b"{}"), good._replace(offset=9), make_record(None)]
    results = parse_all(records, NOW, LIMITS)
    assert [type(result) for result in results] == [Accepted, Rejected, Accepted, Rejected]
    assert results == [parse(record, NOW, LIMITS) for record in records]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_to_do(reason: Reason) -> None:
    assert len(reason.advice) > 20
    error = InvalidEventError(reason, "detail")
    assert str(error) == f"{reason}: detail. {reason.advice}"
