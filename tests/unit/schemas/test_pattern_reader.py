"""The short cut says exactly what the reference says, or nothing."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.build import STRUCTURED_HEADERS, encode_event
from schemas.events import INPUT_TYPES, TYPES_BY_CODE, USAGE_CODES
from schemas.identity import OWN_SOURCE
from schemas.parsing import layouts, pattern_reader
from schemas.parsing.compiled_reader import read_compiled
from schemas.parsing.layouts import OWN_ORDER, TIME, Layout, Layouts, write_pattern
from schemas.parsing.parse import Accepted, Record, Rerouted
from schemas.parsing.pattern_reader import read_by_pattern
from schemas.parsing.reference_reader import read_by_reference
from schemas.topics import ACCOUNTS, REROUTED_HEADER, partition_for
from tests.bench import events as bench
from tests.support.examples import examples
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, EXAMPLES, LIMITS, NOW, STRUCTURED, make_event, make_record

USAGE_TYPES = [TYPES_BY_CODE[code] for code in USAGE_CODES]

digits = st.text("0123456789", max_size=14)
hostile_text = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["", "\x00", "a\x7fb", "\x85", "\ud800", "é", "日本", "\u2028", "\u00ad", '"', "\\", "x" * 256, "x" * 257]
    ),
)
amounts = st.one_of(
    st.builds("{}.{}".format, digits, digits),
    digits,
    st.sampled_from(
        ["5.", ".5", "", "-1", "1e3", "٣", "²", "1.٣", "0000000000000.5", "10000000", "10000000.000001", " 1"]
    ),
    st.floats(),
    st.floats(0, 1).map(lambda number: round(number, 7)),
    st.integers(-5, 20_000_000),
    st.integers(),
    st.booleans(),
    st.none(),
)
counts = st.one_of(st.integers(-2, 5), st.integers(), st.floats(), st.booleans(), st.none(), st.just("1"))
times = st.one_of(
    st.datetimes(
        min_value=NOW.replace(tzinfo=None) - timedelta(days=400),
        max_value=NOW.replace(tzinfo=None) + timedelta(hours=3),
    ).flatmap(
        lambda moment: st.sampled_from(
            [
                moment.isoformat() + "Z",
                moment.isoformat(timespec="milliseconds") + "Z",
                moment.isoformat() + "+02:00",
                moment.isoformat(),
            ]
        )
    ),
    st.text("0123456789-T:.,Z+W ", max_size=28),
    st.from_regex(r"\A2026-0[0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,9})?Z?Z\Z"),
    st.sampled_from(
        [
            "2026-W09-7T12:00:00Z",
            "2026-03-01T120000.00Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00,123456Z",
            5,
            None,
        ]
    ),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "credits": amounts,
    "model": hostile_text,
    "guardrail": hostile_text,
    "script": hostile_text,
    "tool": hostile_text,
    "deployment": hostile_text,
    "status": hostile_text,
    "input_tokens": counts,
    "output_tokens": counts,
    "runs": counts,
    "more": st.recursive(counts | hostile_text, lambda inner: st.lists(inner, max_size=2), max_leaves=3),
}
ATTRIBUTES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(
        [
            EVENT_ID,
            EVENT_ID.upper(),
            "01KAZ6V2T8M1J5Q8C3W4N7R9XE",
            "order 7",
            " ",
            "x" * 128,
            "x" * 129,
            "a\x7f",
            "0" * 8 + "-0000-0000-0000-" + "0" * 12,
            EVENT_ID[:-1],
            EVENT_ID + "0",
            5,
        ]
    )
    | hostile_text,
    "source": hostile_text | st.sampled_from(["x" * 1024, "x" * 1025, ["a"], 5]),
    "time": times,
    "subject": hostile_text,
    "specversion": st.sampled_from(["1.0", "0.3", 1.0, 1]),
    "datacontenttype": st.sampled_from(["application/json", "text/json", "text/plain", None]),
    "traceparent": hostile_text | counts | st.lists(counts, max_size=1),
    "Capital": hostile_text,
    "data_base64": st.just("e30="),
    "dataschema": hostile_text,
}


@st.composite
def usage_events(draw: st.DrawFn) -> dict[str, Any]:
    """A good usage event with up to two things changed, added or taken away."""
    type = draw(st.sampled_from(USAGE_TYPES))
    event = make_event(type, dict(EXAMPLES[type]))
    for _ in range(draw(st.integers(0, 2))):
        target, strategies = draw(st.sampled_from([(event["data"], FIELDS), (event, ATTRIBUTES)]))
        name = draw(st.sampled_from(sorted({*target, *strategies} - {"data", "type"})))
        if draw(st.integers(0, 5)) == 0:
            target.pop(name, None)
        else:
            target[name] = draw(strategies.get(name, hostile_text))
    return event if draw(st.booleans()) else dict(draw(st.permutations(list(event.items()))))


def write(event: Any) -> bytes:
    try:
        return orjson.dumps(event)
    except TypeError:
        return json.dumps(event, separators=(",", ":")).encode()


WRITERS: list[Callable[[Any], bytes]] = [
    write,
    lambda event: json.dumps(event).encode(),
    lambda event: json.dumps(event, separators=(",", ":")).encode(),
    lambda event: write(event)[:-1] + b',"id":"x"}',
    lambda event: write(event).replace(b'"credits":', b'"credits":"9","credits":'),
    lambda event: write(event) + b" ",
    lambda event: json.dumps(event, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass"),
    lambda event: write(event).replace(b'"data":', b'"data":{},"data":'),
    lambda event: write(event).replace(b'"data":', b'"data":0,"data":'),
    lambda event: write(event).replace(b"0.25", b"0.250000000000000000001"),
    lambda event: write(event).replace(b":0,", b":-0,").replace(b":0}", b":-0}"),
    lambda event: write({**event, "zero": 0}).replace(b":0,", b":-0,").replace(b":0}", b":-0}"),
]


SENT_ON = (REROUTED_HEADER, b"3/1042")


def compare(record: Record) -> Accepted | Rerouted | None:
    """The short cut's answer, after holding it against the reference's; so are those of the JSON reader alone, and of a
    pattern that is made for this very event."""
    with no_pattern():
        hold_to_the_reference(record)
    with new_patterns():
        for _ in range(3):
            hold_to_the_reference(record)
    return hold_to_the_reference(record)


NEVER = Layout(lambda _: None, ())


def no_pattern() -> AbstractContextManager[object]:
    never = SimpleNamespace(known=[NEVER], find=lambda _: None, learn=lambda *_: None)
    return patch.object(pattern_reader, "_layouts", never)


@contextmanager
def new_patterns() -> Iterator[Layouts]:
    """Every order gets its pattern at once, our own as well."""
    patterns = Layouts()
    patterns.known[:] = [NEVER]
    with patch.object(pattern_reader, "_layouts", patterns), patch.object(layouts, "LEARN_AFTER", 1):
        yield patterns


def hold_to_the_reference(record: Record) -> Accepted | Rerouted | None:
    quick = read_by_pattern(record, NOW, LIMITS)
    [compiled] = read_compiled([record], NOW, LIMITS) or [None]
    if compiled is not None:
        assert compiled == read_by_reference(record, NOW, LIMITS)
    if quick is not None:
        exact = read_by_reference(record, NOW, LIMITS)
        assert type(quick) is type(exact)
        assert quick == exact
        if isinstance(quick, Accepted) and isinstance(exact, Accepted):
            assert type(quick.amount) is int
            assert quick.occurred_at.tzinfo is exact.occurred_at.tzinfo
    return quick


@settings(max_examples=examples(800))
@given(usage_events(), st.sampled_from(WRITERS))
@example(make_event(time="2026-03-01T12:00:00.Z"), write)
@example(make_event(data={"credits": "5.", "guardrail": "g"}), write)
@example(make_event(data={"credits": "٣", "guardrail": "g"}), write)
@example(make_event(data={"credits": "0000000000000.5", "guardrail": "g"}), write)
@example(make_event(data={"credits": 1e-05, "guardrail": "g"}), write)
@example(make_event(data={"credits": True, "guardrail": "g"}), write)
@example(make_event(data_base64="e30="), write)
@example(make_event(tries=-0.0), write)
@example(make_event(credits=5, data={"credits": 0.25, "guardrail": "g"}), write)
@example(make_event(data={"credits": 0.25, "guardrail": "credits"}), write)
@example(make_event(data={"credits": "1", "guardrail": "{}"}, source="{"), write)
@example(make_event(data_base64=None, traceparent=None), write)
def test_the_short_cut_agrees_with_the_reference(event: dict[str, Any], writer: Callable[[Any], bytes]) -> None:
    subject = event.get("subject")
    key = subject.encode("utf-8", "surrogatepass") if isinstance(subject, str) else b"k"
    compare(make_record(writer(event), key=key))


@settings(max_examples=examples(300))
@given(st.data())
def test_the_short_cut_agrees_on_damaged_bytes(data: st.DataObject) -> None:
    value = bytearray(write(make_event(data.draw(st.sampled_from(USAGE_TYPES)))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"\\", b'"', b",", b"0"])
        )
    compare(make_record(bytes(value)))


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


HOSTILE_CHARACTERS = '"\\{}[],: \n\t\x00\x1f\x7f\x80é٣\u2028\ufeff019-.+eEaAZzTx'


def misprints(text: str) -> Iterator[str]:
    """Every text with one character left out, doubled, replaced by another or preceded by another."""
    for at, character in enumerate(text):
        before, after = text[:at], text[at + 1 :]
        yield before + after
        yield before + 2 * character + after
        for other in HOSTILE_CHARACTERS:
            yield before + other + after
            yield before + other + character + after


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("type", USAGE_TYPES)
def test_no_misprint_is_taken_for_something_else(type: str, separators: tuple[str, str]) -> None:
    for text in misprints(json.dumps(make_event(type), separators=separators)):
        hold_to_the_reference(make_record(text.encode()))


def form_of(type: str) -> str:
    """The pattern as Hypothesis understands it, for one type and account, with real days and amounts."""
    form = re.sub(
        r"(?<=[}+*])\+",
        "",
        write_pattern(OWN_ORDER).replace(TIME, "2026-0[1-3]-[01][1-9]T1[0-3]:5[0-9]:[0-5]0Z"),
    )
    uuid = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
    for whole, part in (
        ('"id":"([^"]*)"', rf'"id":"({uuid}|[!#-\[\]-~][ !#-\[\]-~]{{0,40}})"'),
        ('"source":"([^"]*)"', r'"source":"[ !#-\[\]-~é]{1,40}"'),
        ('"type":"([^"]*)"', f'"type":"{re.escape(type)}"'),
        ('"subject":"([^"]*)"', f'"subject":"{ACCOUNT}"'),
        ("([0-9.]+)", r"[0-9]{1,7}(?:\.[0-9]{1,6}|)"),
        ("(model|guardrail|script|tool)", pattern_reader.KINDS[type][2]),
    ):
        assert whole in form
        form = form.replace(whole, part)
    return form


@settings(max_examples=examples(100))
@given(st.sampled_from(USAGE_TYPES).map(form_of).flatmap(lambda form: st.from_regex(form, fullmatch=True)))
def test_whatever_the_pattern_takes_is_right(text: str) -> None:
    hold_to_the_reference(make_record(text.encode()))


def swap(type: str, old: str, new: str) -> Record:
    text = write(make_event(type)).decode()
    assert old in text
    return make_record(text.replace(old, new).encode())


IDS = (EVENT_ID[:-1], EVENT_ID + "0", "urn:uuid:" + EVENT_ID, "01KAZ6V2T8M1J5Q8C3W4N7R9XE", "order 7", "x" * 128, "~")
NO_IDS = ("", " ", "x" * 129, "\x7f", "é", "a\\n")
INFERENCE, GUARDRAIL, TOOL_RUN = "usage.model_inference.v1", "usage.guardrail.v1", "usage.tool_run.v1"


@pytest.mark.parametrize(
    ("type", "old", "new"),
    [
        *((INFERENCE, ":12,", f":{tokens},") for tokens in (0, 10**15 - 1, 10**15, 10**15 + 1, "-0", "012", "1e1")),
        *((INFERENCE, ":34}", f":{tokens}}}") for tokens in (0, 10**15 - 1, 10**15, 10**15 + 1, "-0", "012", "null")),
        *((TOOL_RUN, ":2,", f":{runs},") for runs in (0, 1, 999_999, 10**6, 10**6 + 1, "-1", "02", "2.0", "2e0")),
        *((INFERENCE, "sage-3", name) for name in ("", "x" * 256, "x" * 257, "{}", " ", "~", "\x7f", "é", "\\n")),
        *((INFERENCE, "eu-1", name) for name in ("", "x" * 256, "x" * 257, "}}", "\x7f")),
        *((TOOL_RUN, "ok", name) for name in ("", "x" * 256, "x" * 257, "}}", "\x7f")),
        *((GUARDRAIL, "https://agents.example.com/assistant-1", text) for text in ("", "s" * 1024, "s" * 1025, "{,:}")),
        *((GUARDRAIL, "0.000001", text) for text in ("10000000", "10000000.000001", "00.5", "1.2.3", ".5", "5.", "")),
        *(
            (GUARDRAIL, EVENT_ID, text)
            for text in (EVENT_ID.upper(), "0" * 8 + "-0000-0000-0000-" + "0" * 12, *IDS, *NO_IDS)
        ),
        *((GUARDRAIL, "https://agents.example.com/assistant-1", text) for text in (OWN_SOURCE, OWN_SOURCE + "s")),
        *((GUARDRAIL, "T11:59:59.123456Z", text) for text in ("T24:00:00Z", "T11:59:60Z", "T11:59:59-00:00")),
        *((GUARDRAIL, "T11:59:59.123456Z", text) for text in ("T13:00:00Z", "T13:00:00.000001Z", "T11:59:59.Z")),
        *((GUARDRAIL, "2026-03-01", text) for text in ("2026-02-29", "2024-02-29", "0000-01-01", "0001-01-01")),
        *((GUARDRAIL, '"credits":"0.000001",', text) for text in ("", '"credits":"1","credits":"1",')),
        *((type, type, other) for type in USAGE_TYPES for other in (*USAGE_TYPES, "account.opened.v1")),
        (GUARDRAIL, '"}}', '","deployment":"","runs":0}}'),
        (GUARDRAIL, '"}}', '","deployment":"d","input_tokens":1,"output_tokens":2,"runs":3,"status":"s"}}'),
        (TOOL_RUN, '{"tool"', '{"credits":"1.2.3","tool"'),
        (TOOL_RUN, '"runs":2,', ""),
        (TOOL_RUN, '"tool"', '"model"'),
    ],
)
def test_borders(type: str, old: str, new: str) -> None:
    compare(swap(type, old, new))


@pytest.mark.parametrize("id", IDS)
def test_every_id_takes_the_short_cut(id: str) -> None:
    event = compare(swap(GUARDRAIL, EVENT_ID, id))
    assert isinstance(event, Accepted)
    assert event.event_id == id


def test_an_id_in_capitals_becomes_lower_case() -> None:
    event = compare(swap(GUARDRAIL, EVENT_ID, EVENT_ID.upper()))
    assert isinstance(event, Accepted)
    assert event.event_id == EVENT_ID


def test_fields_of_another_type_are_kept_and_not_counted() -> None:
    event = hold_to_the_reference(swap(TOOL_RUN, '{"tool"', '{"credits":"7","tool"'))
    assert isinstance(event, Accepted)
    assert event.amount == 2_000_000
    assert event.data == '{"credits":"7","tool":"search_web","runs":2,"status":"ok"}'


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
