"""Usage events as Hypothesis draws them, good but for a little, and the ways in which producers write them."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tests.unit.schemas.builders import EVENT_ID, EXAMPLES, NOW, make_event
from tests.unit.schemas.hostile import USAGE_TYPES
from tests.unit.schemas.pattern_reading import write

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
