"""The short cut says exactly what the reference says, or nothing."""

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import fast
from schemas.build import encode_event
from schemas.events import INPUT_TYPES
from schemas.fast import parse_fast
from schemas.parse import Accepted, Record
from schemas.slow import parse_slow
from schemas.topics import USAGE, partition_for
from tests.bench import events as bench
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, EXAMPLES, LIMITS, NOW, STRUCTURED, make_event, make_record

USAGE_TYPES = [event.type for event in INPUT_TYPES.values() if event.topic == USAGE]

digits = st.text("0123456789", max_size=14)
odd_text = st.one_of(
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
    "model": odd_text,
    "guardrail": odd_text,
    "script": odd_text,
    "tool": odd_text,
    "deployment": odd_text,
    "status": odd_text,
    "input_tokens": counts,
    "output_tokens": counts,
    "runs": counts,
    "more": st.recursive(counts | odd_text, lambda inner: st.lists(inner, max_size=2), max_leaves=3),
}
ATTRIBUTES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(
        [EVENT_ID, EVENT_ID.upper(), "0" * 8 + "-0000-0000-0000-" + "0" * 12, EVENT_ID[:-1], EVENT_ID + "0", 5]
    )
    | odd_text,
    "source": odd_text | st.sampled_from(["x" * 1024, "x" * 1025, ["a"], 5]),
    "time": times,
    "subject": odd_text,
    "specversion": st.sampled_from(["1.0", "0.3", 1.0, 1]),
    "datacontenttype": st.sampled_from(["application/json", "text/json", "text/plain", None]),
    "traceparent": odd_text | counts | st.lists(counts, max_size=1),
    "Odd": odd_text,
    "data_base64": st.just("e30="),
    "dataschema": odd_text,
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
            target[name] = draw(strategies.get(name, odd_text))
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


def compare(record: Record) -> Accepted | None:
    """The short cut's answer, after holding it against the reference's."""
    quick = parse_fast(record, NOW, LIMITS)
    if quick is not None:
        assert quick == parse_slow(record, NOW, LIMITS)
        assert type(quick) is Accepted
        assert type(quick.amount) is int
        assert quick.occurred_at.tzinfo is parse_slow(record, NOW, LIMITS).occurred_at.tzinfo  # type: ignore[union-attr]
    return quick


@settings(max_examples=800, deadline=None)
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


@settings(max_examples=300, deadline=None)
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
        assert compare(make_record(value, headers=headers)) is not None


def test_the_usual_load_takes_the_short_cut() -> None:
    rng = Random(7)
    for number in range(500):
        _, message = bench.make_event(bench.account_name(number), NOW, rng)
        assert compare(make_record(message.value, key=message.key)) is not None


@pytest.mark.parametrize("credits", [0.25, 3, 0.0001, 1234.5])
def test_plain_numbers_take_the_short_cut(credits: float) -> None:
    assert compare(make_record(write(make_event(data={"credits": credits, "guardrail": "g"})))) is not None


def test_more_keys_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "REMEMBERED_KEYS", 4)
    places = fast._Places(12)
    for number in range(20):
        key = b"account-%d" % number
        assert places[key] == (key.decode(), partition_for(key, 12))
        assert len(places) <= 4


def test_more_amounts_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "REMEMBERED_AMOUNTS", 4)
    amounts = fast._Amounts()
    for number in range(20):
        assert amounts[f"0.{number:06d}"] == number
        assert len(amounts) <= 4
    with pytest.raises(ValueError):
        amounts["1e3"]
    assert "1e3" not in amounts
