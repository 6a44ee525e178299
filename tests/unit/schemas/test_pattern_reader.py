"""The short cut says exactly what the reference says, or nothing."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.identity import OWN_SOURCE
from schemas.parsing import pattern_reader
from schemas.parsing.layouts import OWN_ORDER, TIME, write_pattern
from schemas.parsing.parse import Accepted
from tests.support.examples import examples
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, make_event, make_record
from tests.unit.schemas.drawn_events import WRITERS, usage_events
from tests.unit.schemas.hostile import GUARDRAIL, INFERENCE, TOOL_RUN, USAGE_TYPES, misprints
from tests.unit.schemas.pattern_reading import IDS, compare, hold_to_the_reference, swap, write

NO_IDS = ("", " ", "x" * 129, "\x7f", "é", "a\\n")


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


def test_fields_of_another_type_are_kept_and_not_counted() -> None:
    event = hold_to_the_reference(swap(TOOL_RUN, '{"tool"', '{"credits":"7","tool"'))
    assert isinstance(event, Accepted)
    assert event.amount == 2_000_000
    assert event.data == '{"credits":"7","tool":"search_web","runs":2,"status":"ok"}'
