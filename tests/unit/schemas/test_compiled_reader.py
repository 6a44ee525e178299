"""The compiled reader says exactly what the reference says, or nothing. The properties of `test_pattern_reader` ask it
as well; here stands what it must take, what it must leave, and that nothing depends on it."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.compiled import NATIVE, VERSION, Native, find_module
from schemas.identity import NO_TIME, OWN_SOURCE, is_id
from schemas.parsing.compiled_reader import read_compiled
from schemas.parsing.parse import Accepted, Record, Rejected, parse_all
from schemas.parsing.reference_reader import read_by_reference
from schemas.topics import ACCOUNTS, REROUTED_HEADER, partition_for
from tests.bench import events as bench
from tests.support.examples import examples
from tests.unit.schemas.builders import (
    ACCOUNT,
    EXAMPLES,
    LIMITS,
    NOW,
    STRUCTURED,
    make_event,
    make_record,
    to_bytes,
)
from tests.unit.schemas.hostile import GUARDRAIL, INFERENCE, SCRIPT, TOOL_RUN, USAGE_TYPES, hostile_values

installed = pytest.mark.skipif(find_module() is None, reason="the compiled reader is not installed: make native")


def read_alone(record: Record, limits: Any = LIMITS) -> Accepted | None:
    """The compiled reader's answer, held against the reference's."""
    found = read_compiled([record], NOW, limits)
    assert found is not None
    [quick] = found
    if quick is not None:
        exact = read_by_reference(record, NOW, limits)
        assert type(quick) is type(exact) is Accepted
        assert quick == exact
        assert [type(value) for value in quick] == [type(value) for value in exact]
        assert quick.occurred_at.tzinfo is exact.occurred_at.tzinfo
    return quick


@installed
@pytest.mark.parametrize("type", USAGE_TYPES)
@pytest.mark.parametrize("write", [to_bytes, lambda event: json.dumps(event, indent=2).encode() + b"\r\n\t "])
@pytest.mark.parametrize(
    "headers", [(), STRUCTURED, (("content-type", b"application/cloudevents+json; charset=utf-8"),)]
)
def test_it_takes_good_events(type: str, write: Callable[[Any], bytes], headers: Any) -> None:
    assert read_alone(make_record(write(make_event(type, traceparent="00-1", z9="")), headers=headers)) is not None


@installed
def test_it_takes_the_load_of_the_benchmark() -> None:
    rng = Random(7)
    for number in range(500):
        _, message = bench.make_event(bench.account_name(number), NOW, rng)
        assert read_alone(make_record(message.value, key=message.key)) is not None


@installed
@settings(max_examples=examples(200))
@given(st.sampled_from(USAGE_TYPES).flatmap(lambda type: st.permutations(list(make_event(type).items()))), st.randoms())
def test_it_takes_any_order(members: list[tuple[str, Any]], rng: Random) -> None:
    event = dict(members)
    event["data"] = dict(rng.sample(list(event["data"].items()), len(event["data"])))
    assert read_alone(make_record(to_bytes(event))) is not None


FOR_INFORMATION = (
    '"credits":"1","script":"s","deployment":"d","language":"py","category":"hosting","seconds":60.25,"cpus":2,'
    '"memory_gb":0.5'
)


@installed
@pytest.mark.parametrize(
    ("type", "data"),
    [
        (SCRIPT, FOR_INFORMATION),
        (INFERENCE, '"credits":0.25,"model":"m","category":"inference","replicas":2,"hardware":"gpu","seconds":99999'),
        (GUARDRAIL, '"credits":"0010.50","guardrail":"g","cpus":4,"tool":"t","runs":1000000'),
        (INFERENCE, '"model":"~","credits":10000,"input_tokens":0,"output_tokens":1000000000000000'),
        (TOOL_RUN, '"tool":"t"'),
        (TOOL_RUN, '"status":"failed","runs":10000,"tool":"t"'),
    ],
)
def test_it_takes_what_is_for_information(type: str, data: str) -> None:
    written = to_bytes(make_event(type)).decode()
    head = written[: written.index('"data":')]
    assert read_alone(make_record(f'{head}"data":{{{data}}}}}'.encode())) is not None


@installed
def test_it_agrees_with_the_reference_on_a_hostile_corpus() -> None:
    outcomes = [read_alone(make_record(value)) for value in hostile_values()]
    assert 40 < sum(outcome is not None for outcome in outcomes) < len(outcomes) / 2


GOOD = to_bytes(make_event(GUARDRAIL))
RECORD = make_record(GOOD)


@installed
@pytest.mark.parametrize(
    "record",
    [
        RECORD._replace(topic=ACCOUNTS),
        RECORD._replace(partition=RECORD.partition + 1),
        RECORD._replace(key=b"acct-2"),
        RECORD._replace(key=b"\xff"),
        RECORD._replace(value=None),
        RECORD._replace(value=b""),
        RECORD._replace(headers=(("content-type", b"text/plain"),)),
        RECORD._replace(headers=(("content-type", None),)),  # type: ignore[arg-type]
        RECORD._replace(headers=(*STRUCTURED, (REROUTED_HEADER, b"3/1"))),
        RECORD._replace(headers=(("ce_id", b"x"),)),
    ],
)
def test_it_leaves_what_is_not_plain(record: Record) -> None:
    assert read_alone(record) is None


@installed
@pytest.mark.parametrize("key", [None, b"", ACCOUNT.encode()])
def test_a_key_is_the_subject_or_absent(key: bytes | None) -> None:
    assert read_alone(RECORD._replace(key=key)) is not None


TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"\\'), max_size=140)
ACCOUNTS_OF_ANY_LENGTH = st.text("abcXYZ019._:@-", min_size=1, max_size=128)


@installed
@settings(max_examples=examples(500))
@given(
    ACCOUNTS_OF_ANY_LENGTH,
    st.one_of(st.uuids().map(str), st.uuids().map(lambda uuid: str(uuid).upper()), TEXTS.filter(is_id)),
    TEXTS.filter(lambda source: source.strip() == source != ""),
    st.integers(1, 10_000),
)
def test_keys_and_partitions_are_those_of_the_reference(account: str, id: str, source: str, partitions: int) -> None:
    """Of every length, because a hash takes the last bytes apart."""
    value = to_bytes(make_event(subject=account, id=id, source=source))
    partition = partition_for(account.encode(), partitions)
    record = make_record(value, key=account.encode(), partition=partition)
    limits = replace(LIMITS, partitions=partitions)
    if not id.startswith(NO_TIME):
        assert read_alone(record, limits) is not None
    elsewhere = record._replace(partition=(partition + 1) % partitions)
    assert partitions == 1 or read_alone(elsewhere, limits) is None


@installed
@pytest.mark.parametrize(
    "event",
    [
        make_event(id="00000000-0000-7000-8000-000000000001"),
        make_event(id="00000000-0000-0000-0000-000000000000"),
        make_event(source=OWN_SOURCE),
        make_event(source=" "),
        make_event(source="a" * 1025),
        *(make_event(subject=account) for account in ("", "a" * 129, "a b", "a/b", "a\x7f", "ä", "a\n")),
        *(make_event(id=id) for id in ("", " ", "a" * 129, "a\x7f", "é")),
    ],
)
def test_it_leaves_ids_that_are_none_or_have_keys_of_another_kind(event: dict[str, Any]) -> None:
    key = str(event["subject"]).encode()
    assert read_alone(make_record(to_bytes(event), key=key)) is None


@installed
@pytest.mark.parametrize("partitions", [0, -1, 1 << 32])
def test_it_leaves_everything_where_the_partitions_are_none(partitions: int) -> None:
    found = read_compiled([RECORD], NOW, replace(LIMITS, partitions=partitions))
    assert found is None or found == [None]


@installed
@pytest.mark.parametrize(
    "limits",
    [
        replace(LIMITS, max_credits=0),
        replace(LIMITS, max_bytes=len(GOOD)),
        replace(LIMITS, max_bytes=1),
        replace(LIMITS, max_behind=timedelta(0)),
        replace(LIMITS, max_ahead=timedelta(seconds=-1)),
    ],
)
def test_it_leaves_what_is_beyond_a_limit(limits: Any) -> None:
    assert read_alone(RECORD, limits) is None


@installed
def test_records_that_are_none_cost_themselves_alone() -> None:
    """Whatever stands in the batch: the others are read."""
    records: Sequence[Any] = [None, (), (1, 2), RECORD, "text", RECORD._replace(value=memoryview(b"{}"))]  # type: ignore[arg-type]
    found = read_compiled(records, NOW, LIMITS)
    assert found is not None
    assert [event is not None for event in found] == [False, False, False, True, False, False]


@installed
def test_a_fault_in_it_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, **_: Any) -> None:
            pass

        def read(self, *_: Any) -> None:
            raise ValueError("a fault")

    monkeypatch.setattr(NATIVE, "module", SimpleNamespace(Reader=Broken))
    assert parse_all([RECORD], NOW, LIMITS) == [read_by_reference(RECORD, NOW, LIMITS)]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_batch_comes_out_the_same_with_and_without_it(monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    monkeypatch.setattr(NATIVE, "module", NATIVE.module)  # put back afterwards
    NATIVE.use(wanted)
    values = [to_bytes(make_event(type, dict(EXAMPLES[type]))) for type in USAGE_TYPES] + [b"{", GOOD[:-1], GOOD]
    records = [make_record(value) for value in values]
    outcomes = parse_all(records, NOW, LIMITS)
    assert outcomes == [read_by_reference(record, NOW, LIMITS) for record in records]
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 4 + [Rejected] * 2 + [Accepted]


def test_it_can_be_turned_off_and_on() -> None:
    module = ModuleType("compiled")
    vars(module)["VERSION"] = VERSION
    native = Native(module)
    assert (native.state, native.module) == ("used", module)
    native.use(False)
    assert (native.state, native.module) == ("off", None)
    native.use(True)
    assert (native.state, native.module) == ("used", module)


@pytest.mark.parametrize("version", [{}, {"VERSION": VERSION - 1}, {"VERSION": VERSION + 1}])
def test_a_wheel_of_another_version_is_not_used(version: dict[str, int]) -> None:
    module = ModuleType("compiled")
    vars(module).update(version)
    native = Native(module)
    for wanted in (True, False):
        native.use(wanted)
        assert (native.state, native.module) == ("outdated", None)


def test_it_may_be_absent() -> None:
    native = Native(find_module("no_such_module"))
    native.use(True)
    assert (native.state, native.module) == ("absent", None)


def test_one_that_does_not_load_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "of_another_machine", None)
    assert find_module("of_another_machine") is None
