"""Whatever text stands in whatever field: what is taken can be stored, and so can what is refused."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from schemas.codes import EVENT_CODES
from schemas.parsing.parse import Record, parse
from tests.unit.schemas.builders import ACCOUNT, EXAMPLES, LIMITS, NOW, STRUCTURED, make_event

TEXTS: Final = {
    "NUL": "a\x00b",
    "half a surrogate pair": "a\ud800b",
    "the wrong way round": "\ude00\ud83d",
    "no character": "\uffff\U0010ffff",
    "byte order mark": "\ufeffx",
    "control characters": "a\x01\x1f\x7f\x85b",
    "line ends": "a\nb\r\u2028c",
    "right to left": "\u202ea",
    "long, four bytes each": "\U0010ffff" * 300,
}
ATTRIBUTES: Final = ("id", "source", "subject", "type", "time", "datacontenttype", "dataschema", "traceparent", "more")


def change(event_type: str, text: str) -> Iterator[dict[str, Any]]:
    """The event with the text in each of its fields in turn, one that the contract does not have among them."""
    for name in ATTRIBUTES:
        yield make_event(event_type) | {name: text}
    for name in (*EXAMPLES[event_type], "more", text):
        given = EXAMPLES[event_type].get(name)
        yield make_event(event_type, EXAMPLES[event_type] | {name: [text] if isinstance(given, list) else text})


def records(event: dict[str, Any], topic: str) -> Iterator[Record]:
    """In structured mode, escaped; and in binary mode, where bytes stand for themselves."""
    yield Record(topic, 0, 1, 0, ACCOUNT.encode(), json.dumps(event).encode(), STRUCTURED)
    data = json.dumps(event["data"], ensure_ascii=False).encode("utf-8", "surrogatepass")
    attributes = {name: str(value) for name, value in event.items() if name != "data"}
    headers = tuple((f"ce_{name}", value.encode("utf-8", "surrogatepass")) for name, value in attributes.items())
    yield Record(topic, 0, 1, 0, ACCOUNT.encode(), data, headers)


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from texts_of(inner)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("event_type", EXAMPLES)
def test_whatever_the_text_the_outcome_can_be_stored(event_type: str, text: str) -> None:
    [topic] = [known.topic for known in EVENT_CODES if known.type == event_type]
    for event in change(event_type, text):
        for record in records(event, topic):
            for found in texts_of(parse(record, NOW, LIMITS)):
                assert "\x00" not in found
                found.encode()  # raises where there is half a surrogate pair
                data = found if found.startswith("{") else "{}"
                assert "\\u0000" not in data and "\\ud8" not in data, "jsonb refuses it"
