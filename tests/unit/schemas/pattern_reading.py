"""Holds what the short cut says of a record against the reference, with and without patterns."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import orjson

from schemas.parsing import layouts, pattern_reader
from schemas.parsing.compiled_reader import read_compiled
from schemas.parsing.layouts import Layout, Layouts
from schemas.parsing.parse import Accepted, Record, Rerouted
from schemas.parsing.pattern_reader import read_by_pattern
from schemas.parsing.reference_reader import read_by_reference
from tests.unit.schemas.builders import EVENT_ID, LIMITS, NOW, make_event, make_record

IDS = (EVENT_ID[:-1], EVENT_ID + "0", "urn:uuid:" + EVENT_ID, "01KAZ6V2T8M1J5Q8C3W4N7R9XE", "order 7", "x" * 128, "~")
NEVER = Layout(lambda _: None, ())


def write(event: Any) -> bytes:
    try:
        return orjson.dumps(event)
    except TypeError:
        return json.dumps(event, separators=(",", ":")).encode()


def compare(record: Record) -> Accepted | Rerouted | None:
    """The short cut's answer, after holding it against the reference's; so are those of the JSON reader alone, and of a
    pattern that is made for this very event."""
    with no_pattern():
        hold_to_the_reference(record)
    with new_patterns():
        for _ in range(3):
            hold_to_the_reference(record)
    return hold_to_the_reference(record)


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


def swap(type: str, old: str, new: str) -> Record:
    text = write(make_event(type)).decode()
    assert old in text
    return make_record(text.replace(old, new).encode())
