"""What the compiled part keeps of events answers as a tuple of them does, whatever was sent."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.allowance import Allowance
from meter.plan import plan_append
from meter.store import layout
from meter.store.layout import encode_rows
from schemas import rows as many
from schemas.compiled import find_module
from schemas.parsing import compiled_reader
from schemas.parsing.parse import Accepted, Record, Rejected, Remarked, Rerouted, parse_all, parse_rows
from schemas.records import Parsed, part
from schemas.topics import ACCOUNTS, USAGE
from tests.bench import events as bench
from tests.support.examples import examples
from tests.support.runs import python_alone
from tests.unit.schemas.builders import LIMITS, NOW, make_event, make_record, to_bytes
from tests.unit.schemas.hostile import GUARDRAIL, INFERENCE, USAGE_TYPES, hostile_values

installed = pytest.mark.skipif(find_module() is None, reason="the compiled reader is not installed: make native")

UUID = "0190a0b0-c0d0-7000-8000-0000000000A{}"
ELSEWHERE = to_bytes(make_event(GUARDRAIL, id="elsewhere"))
# Read here; read by Python; good but for a field that is left out; refused; sent on.
VALUES = (
    *(to_bytes(make_event(type)) for type in USAGE_TYPES),
    *(to_bytes(make_event(GUARDRAIL, id=UUID.format(n))) for n in "AB"),
    to_bytes(make_event(GUARDRAIL, id=UUID.format("a"))),  # the same id
    to_bytes(make_event(GUARDRAIL, id="00000000-0000-1000-8000-000000000001")),
    to_bytes(make_event(GUARDRAIL, id="some text", z1="a further attribute", a2="another")),
    to_bytes(make_event(INFERENCE, id="by Python", data={"credits": "1", "model": "naïve"})),
    to_bytes(make_event(INFERENCE, id="left out", data={"credits": "1", "model": "m", "input_tokens": -7})),
    to_bytes(make_event(INFERENCE, id="refused", data={"credits": "-1", "model": "m"})),
    to_bytes(make_event(INFERENCE, id="of somebody else", subject="acct-8")),
    b"no JSON",
    ELSEWHERE,
)


def numbered(values: Sequence[bytes]) -> list[Record]:
    there = (make_record(b"").partition + 1) % LIMITS.partitions
    return [
        make_record(value, partition=there if value is ELSEWHERE else None)._replace(offset=offset)
        for offset, value in enumerate(values)
    ]


def by_python(records: Sequence[Record]) -> Parsed:
    with python_alone():
        return parse_rows(records, NOW, LIMITS)


def encoded_by_python(rows: Sequence[Accepted]) -> bytes:
    return layout._encode_rows(tuple(rows), 3, 17, NOW)


def compiled(rows: Sequence[Accepted]) -> Any:
    return rows


def hold(kept: Sequence[Accepted], expected: Sequence[Accepted]) -> None:
    """Every question has the answer that a tuple of the same events gives."""
    assert many.is_compiled(kept) and not many.is_compiled(expected)
    assert len(kept) == len(expected) and list(kept) == list(expected) == [kept[at] for at in range(len(expected))]
    assert [[type(value) for value in row] for row in kept] == [[type(value) for value in row] for row in expected]
    assert many.keys_of(kept) == many.keys_of(expected)
    assert many.types_of(kept) == many.types_of(expected)
    assert many.find_again(kept) == many.find_again(expected)
    assert layout._encode_compiled(kept, 3, 17, NOW) == encoded_by_python(expected)
    assert encode_rows(kept, 3, 17, NOW) == encode_rows(expected, 3, 17, NOW) == encoded_by_python(expected)
    now = NOW + timedelta(microseconds=1_234_567)
    assert many.seconds_since(kept, now) == many.seconds_since(expected, now)


@installed
@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from(VALUES), max_size=30), st.data())
def test_they_answer_as_a_tuple_does(values: list[bytes], data: Any) -> None:
    records = numbered(values)
    kept, expected = parse_rows(records, NOW, LIMITS), by_python(records)
    assert expected == part(parse_all(records, NOW, LIMITS))
    assert kept.others == expected.others
    hold(kept.events, expected.events)
    events, others = kept.events, expected.events
    for _ in range(2):  # also of what is left
        places = sorted(data.draw(st.sets(st.integers(0, max(0, len(others) - 1))))) if others else []
        keys = {others[at].key for at in places} | {bytes(32), b""}
        assert many.find_keys(events, keys) == many.find_keys(others, keys)
        assert many.at_places(events, places) == many.at_places(others, places)
        events, others = many.without(events, places), many.without(others, places)
        hold(events, others)


@installed
def test_every_kind_of_outcome_is_among_the_values() -> None:
    parsed = parse_rows(numbered(VALUES), NOW, LIMITS)
    kinds = {type(outcome) for outcome in parsed.others}
    assert kinds == {Rejected, Remarked, Rerouted}
    offsets = [event.offset for event in parsed.events]
    assert offsets == sorted(offsets) and len(offsets) == len(VALUES) - 4
    assert {event.event_id for event in parsed.events} >= {
        "by Python",
        "left out",
        "some text",
        UUID.format("a").lower(),
    }


@installed
def test_a_hostile_corpus_comes_out_the_same() -> None:
    records = numbered(list(hostile_values()))
    kept, expected = parse_rows(records, NOW, LIMITS), by_python(records)
    assert kept.others == expected.others
    hold(kept.events, expected.events)


@installed
def test_the_load_of_the_benchmark_comes_out_the_same() -> None:
    rng = Random(7)
    messages = [bench.make_event(bench.account_name(number % 7), NOW, rng)[1] for number in range(300)]
    limits = LIMITS
    records = [make_record(m.value, key=m.key)._replace(offset=n) for n, m in enumerate(messages)]
    kept, expected = parse_rows(records, NOW, limits), by_python(records)
    assert len(expected.events) > 30
    assert None not in compiled(kept.events).waited(0)  # each was read here
    assert kept.others == expected.others
    hold(kept.events, expected.events)


@installed
def test_there_is_no_row_beyond_the_ends() -> None:
    kept = parse_rows(numbered(VALUES[:3]), NOW, LIMITS).events
    assert [kept[-1], kept[-3]] == [kept[2], kept[0]]
    for at in (3, -4, 2**62, -(2**62)):
        with pytest.raises(IndexError):
            kept[at]


@installed
def test_a_plan_of_kept_rows_is_that_of_a_tuple() -> None:
    records = numbered(VALUES)

    def plan(usage: Any) -> Any:
        return plan_append(
            shard=0, records={USAGE: records, ACCOUNTS: []}, results={USAGE: usage, ACCOUNTS: []},
            start={USAGE: 0, ACCOUNTS: 0}, end={USAGE: len(records), ACCOUNTS: 0}, recorded_at=NOW,
            allowance=Allowance(),
        )  # fmt: skip

    kept = plan(parse_rows(records, NOW, LIMITS))
    assert many.is_compiled(kept.rows) and kept.again
    for results in (by_python(records), parse_all(records, NOW, LIMITS)):
        expected = plan(results)
        hold(kept.rows, expected.rows)
        for name in ("again", "derived", "rejections", "rerouted", "gaps", "remarked", "corrections"):
            assert getattr(kept, name) == getattr(expected, name)


@installed
def test_a_fault_in_it_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("a fault")

    reader = SimpleNamespace(read_rows=fail, read=fail)
    monkeypatch.setattr(compiled_reader, "_reader_of", lambda *_: reader)
    records = numbered(VALUES)
    assert parse_rows(records, NOW, LIMITS) == by_python(records)


@installed
def test_sources_that_may_not_report_are_judged() -> None:
    limits = LIMITS.__class__(partitions=LIMITS.partitions, sources={})
    parsed = parse_rows(numbered(VALUES), NOW, limits)
    assert not parsed.events and len(parsed.others) == len(VALUES)
