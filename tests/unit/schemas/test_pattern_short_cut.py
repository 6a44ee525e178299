"""Which records take the short cut, and which are left to the reference."""

import json
from dataclasses import replace
from random import Random
from typing import Any, NoReturn

import pytest

from schemas.build import STRUCTURED_HEADERS, encode_event
from schemas.events import INPUT_TYPES
from schemas.parsing import pattern_reader
from schemas.parsing.parse import Accepted
from schemas.parsing.pattern_reader import read_by_pattern
from schemas.parsing.reference_reader import read_by_reference
from schemas.topics import ACCOUNTS, REROUTED_HEADER, partition_for
from tests.bench import events as bench
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, EXAMPLES, LIMITS, NOW, STRUCTURED, make_event, make_record
from tests.unit.schemas.hostile import GUARDRAIL, USAGE_TYPES
from tests.unit.schemas.pattern_reading import IDS, compare, hold_to_the_reference, no_pattern, swap, write

SENT_ON = (REROUTED_HEADER, b"3/1042")


@pytest.mark.parametrize("type", USAGE_TYPES)
@pytest.mark.parametrize(
    "headers", [(), STRUCTURED, (("content-type", b"application/cloudevents+json; charset=utf-8"),)]
)
def test_good_events_take_the_short_cut(type: str, headers: Any) -> None:
    encoded = encode_event(
        type, ACCOUNT, EXAMPLES[type], event_id=EVENT_ID, time=NOW, source="/agents/1", extensions={"trace": "1"}
    )
    spaced = json.dumps(make_event(type)).encode()
    for value in (write(make_event(type)), encoded, spaced, json.dumps(make_event(type), indent=2).encode()):
        record = make_record(value, headers=headers)
        assert compare(record) is not None
        with no_pattern():
            assert compare(record) is not None


@pytest.fixture
def only_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> NoReturn:
        raise AssertionError("the pattern does not match")

    monkeypatch.setattr(pattern_reader, "read_any_order", fail)


@pytest.mark.usefixtures("only_the_pattern")
def test_the_usual_load_needs_only_the_pattern() -> None:
    rng = Random(7)
    for number in range(500):
        _, message = bench.make_event(bench.account_name(number), NOW, rng)
        assert hold_to_the_reference(make_record(message.value, key=message.key)) is not None


@pytest.mark.usefixtures("only_the_pattern")
@pytest.mark.parametrize("type", USAGE_TYPES)
def test_what_our_client_writes_needs_only_the_pattern(type: str) -> None:
    fields = INPUT_TYPES[type].model.model_fields
    least = {name: EXAMPLES[type][name] for name, field in fields.items() if field.is_required()}
    for data in (EXAMPLES[type], least):
        written = encode_event(type, ACCOUNT, data, event_id=EVENT_ID, time=NOW, source="/agents/1")
        for value in (written, json.dumps(json.loads(written)).encode()):
            assert hold_to_the_reference(make_record(value, headers=STRUCTURED_HEADERS)) is not None


@pytest.mark.parametrize("credits", [0.25, 3, 0.0001, 1234.5])
def test_plain_numbers_take_the_short_cut(credits: float) -> None:
    assert compare(make_record(write(make_event(data={"credits": credits, "guardrail": "g"})))) is not None


@pytest.mark.parametrize("id", IDS)
def test_every_id_takes_the_short_cut(id: str) -> None:
    event = compare(swap(GUARDRAIL, EVENT_ID, id))
    assert isinstance(event, Accepted)
    assert event.event_id == id


def test_an_id_in_capitals_becomes_lower_case() -> None:
    event = compare(swap(GUARDRAIL, EVENT_ID, EVENT_ID.upper()))
    assert isinstance(event, Accepted)
    assert event.event_id == EVENT_ID


@pytest.mark.parametrize(
    "around",
    [
        {"topic": ACCOUNTS},
        {"key": b"acct-2"},
        {"partition": 99, "headers": (*STRUCTURED, SENT_ON)},
        {"headers": (("ce_specversion", b"1.0"),)},
        {"headers": (("content-type", b"application/cloudevents-batch+json"),)},
        {"headers": (*STRUCTURED, ("more", b"x" * LIMITS.max_bytes))},
    ],
)
def test_the_record_around_the_event_is_judged_too(around: dict[str, Any]) -> None:
    assert compare(make_record(write(make_event()), **around)) is None


@pytest.mark.parametrize(
    "around",
    [
        {"partition": 99},
        {"partition": 99, "key": None},
        {"key": b""},
        {"key": None},
        {"headers": (*STRUCTURED, SENT_ON)},
        {"key": None, "partition": partition_for(ACCOUNT.encode(), 12), "headers": (*STRUCTURED, SENT_ON)},
    ],
)
def test_a_record_of_any_partitioner_is_read_by_the_pattern(around: dict[str, Any]) -> None:
    assert compare(make_record(write(make_event()), **around)) is not None


@pytest.mark.parametrize("spare", [0, -1])
def test_the_size_limit_counts_bytes_of_headers_too(spare: int) -> None:
    record = make_record(write(make_event()))
    assert record.value is not None
    size = len(record.value) + sum(len(name) + len(value) for name, value in record.headers)
    limits = replace(LIMITS, max_bytes=size + spare)
    assert read_by_pattern(record, NOW, limits) in (None, read_by_reference(record, NOW, limits))
