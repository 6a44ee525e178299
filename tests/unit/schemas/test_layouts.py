"""Orders of fields that come often are read by a pattern of their own, and read as the reference reads them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any, NoReturn
from unittest.mock import patch

import pytest

from schemas.parsing import layouts, pattern_reader
from schemas.parsing.layouts import LEARN_AFTER, MOST_LAYOUTS, MOST_MADE, OWN_ORDER, Layouts
from schemas.parsing.parse import Accepted
from schemas.parsing.pattern_reader import read_by_pattern
from schemas.parsing.reference_reader import read_by_reference
from tests.unit.schemas.builders import LIMITS, NOW, make_event, make_record
from tests.unit.schemas.hostile import USAGE_TYPES, misprints
from tests.unit.schemas.pattern_reading import new_patterns

INFERENCE, TOOL_RUN = "usage.model_inference.v1", "usage.tool_run.v1"
COMPACT, SPACED = (",", ":"), (", ", ": ")
# As the libraries for Go, Java and Python write them, and sorted by name.
ORDERS = (
    ("specversion", "id", "source", "type", "subject", "datacontenttype", "time", "data"),
    ("specversion", "id", "source", "type", "datacontenttype", "subject", "time", "data"),
    ("id", "source", "specversion", "type", "subject", "time", "datacontenttype", "data"),
    tuple(sorted(OWN_ORDER)),
)


def arrange(event: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    return {name: event[name] for name in order}


def reverse_data(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "data": dict(reversed(event["data"].items()))}


def write(event: dict[str, Any], separators: tuple[str, str] = COMPACT) -> bytes:
    return json.dumps(event, separators=separators).encode()


def read(value: bytes) -> object:
    """What the short cut makes of it, held to the reference."""
    record = make_record(value)
    quick = read_by_pattern(record, NOW, LIMITS)
    assert quick is None or quick == read_by_reference(record, NOW, LIMITS)
    return quick


@contextmanager
def patterns_alone() -> Iterator[None]:
    def fail(_: str) -> NoReturn:
        raise AssertionError("no pattern fits")

    with patch.object(pattern_reader, "read_any_order", fail):
        yield


@pytest.fixture
def patterns(monkeypatch: pytest.MonkeyPatch) -> Layouts:
    made = Layouts()
    monkeypatch.setattr(pattern_reader, "_layouts", made)
    return made


@pytest.mark.usefixtures("patterns")
@pytest.mark.parametrize("separators", [COMPACT, SPACED])
@pytest.mark.parametrize("order", ORDERS)
def test_an_order_that_comes_often_gets_a_pattern(order: tuple[str, ...], separators: tuple[str, str]) -> None:
    for _ in range(LEARN_AFTER):
        assert isinstance(read(write(arrange(make_event(INFERENCE), order), separators)), Accepted)
    with patterns_alone():
        for type in USAGE_TYPES:
            assert isinstance(read(write(arrange(make_event(type), order), separators)), Accepted)


@pytest.mark.usefixtures("patterns")
def test_data_in_another_order_gets_a_pattern_behind_that_for_the_usual_order() -> None:
    event = arrange(make_event(INFERENCE), ORDERS[0])
    for _ in range(2 * LEARN_AFTER):
        read(write(reverse_data(event)))
    with patterns_alone():
        for type in USAGE_TYPES:
            for one in (arrange(make_event(type), ORDERS[0]), reverse_data(arrange(make_event(type), ORDERS[0]))):
                assert isinstance(read(write(one)), Accepted)


@pytest.mark.usefixtures("patterns")
def test_extensions_that_are_text_stand_in_the_pattern() -> None:
    event = {"traceparent": "00-ab-01", **make_event(TOOL_RUN), "partitionkey": ""}
    for _ in range(LEARN_AFTER):
        read(write(event))
    with patterns_alone():
        accepted = read(write({**event, "traceparent": "00-cd-01"}))
    assert isinstance(accepted, Accepted)
    assert accepted.extensions == '{"traceparent":"00-cd-01","partitionkey":""}'


@pytest.mark.parametrize("separators", [COMPACT, SPACED])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("type", [INFERENCE, TOOL_RUN])
def test_no_misprint_is_taken_for_something_else(type: str, reverse: bool, separators: tuple[str, str]) -> None:
    event = arrange(make_event(type), ORDERS[1])
    text = write(reverse_data(event) if reverse else event, separators).decode()
    with new_patterns():
        for _ in range(2):
            read(text.encode())
        with patterns_alone():
            assert isinstance(read(text.encode()), Accepted)
        for misprint in misprints(text):
            read(misprint.encode())


@pytest.mark.parametrize(
    "field", ['"credits":"0.5"', '"model":"m"', '"tool":"t"', '"input_tokens":1', '"deployment":"d"']
)
def test_a_field_that_comes_twice_is_left_to_the_reference(field: str) -> None:
    event = reverse_data(make_event(INFERENCE))
    with new_patterns():
        for _ in range(3):
            assert isinstance(read(write(event)), Accepted)
        text = write(event).decode()
        for twice in (text.replace('"data":{', f'"data":{{{field},'), text.replace("}}", f",{field}}}}}")):
            assert not isinstance(read(twice.encode()), Accepted)


def test_orders_that_somebody_makes_up_take_no_more_than_a_little_memory(
    monkeypatch: pytest.MonkeyPatch, patterns: Layouts
) -> None:
    monkeypatch.setattr(layouts, "LEARN_AFTER", 2)
    monkeypatch.setattr(layouts, "MOST_SEEN", 5)
    for number, order in enumerate(permutations(OWN_ORDER)):
        if number == 200:
            break
        for _ in range(2):
            read(write(arrange(make_event(TOOL_RUN), order)))
            read(json.dumps(arrange(make_event(TOOL_RUN), order), indent=number % 7).encode())
        for _ in range(4):
            read(write(arrange(make_event(TOOL_RUN, tries=number), (*order, "tries"))))
    assert 2 < len(patterns.known) <= MOST_LAYOUTS + 1
    assert len(patterns._made) <= MOST_MADE + 1
    assert len(patterns._seen) <= 6
