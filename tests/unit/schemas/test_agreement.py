"""JSON Schema and the parser say the same of every event, both ways: values are drawn at the borders of the rules.

What JSON Schema cannot say is left out here: that a *number* has at most six decimals, that a day is in the calendar
(its format says so), what `contacts` take beyond good addresses, and that no text deep inside holds NUL.
"""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import INPUT_TYPES
from schemas.parsing.parse import Rejected, parse
from tests.unit.schemas.builders import EXAMPLES, LIMITS, NOW, make_event, make_record
from tests.unit.schemas.test_generated import payload_of

Draw = st.SearchStrategy[str]

# Texts of JSON values, so that 1, 1.0, 1e0 and 1.000 stay what they are.
DIGITS = st.text("0123456789", min_size=1, max_size=9)
FRACTION = st.one_of(st.just(""), st.text("0123456789", max_size=9).map(lambda digits: "." + digits))
EDGE = st.sampled_from(
    ["0", "1", "9999.999999", "9999.9999995", "10000", "10000.000000", "10000.0000001", "10001", "0010000", "10000000",
     "10000000.0", "10000000.000001", "10000001",
     "0.000001", "0.0000001", "0.0", "00", "5.", ".5", "1000000", "1000001"]
)  # fmt: skip
DECIMAL = st.one_of(EDGE, st.builds(lambda whole, fraction: whole + fraction, DIGITS, FRACTION))
SIGN = st.sampled_from(["", "", "", "-", "+", " "])
EXPONENT = st.sampled_from(["", "", "", "e0", "E+0", "e1", "e3", "E4", "e-3", "e-6", "e-7", "e400", "e-400"])
IN_TEXT: Draw = st.builds(lambda sign, number, exponent: json.dumps(sign + number + exponent), SIGN, DECIMAL, EXPONENT)
NUMBER: Draw = st.builds(
    lambda sign, number, exponent: sign.strip("+ ") + number + exponent, SIGN, DECIMAL, EXPONENT
).filter(re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch)
OTHER: Draw = st.sampled_from(["null", "true", "[]", "{}", '""', '" "', '"abc"', '"٣"', '"1_0"', '"0x1"'])
AMOUNT: Draw = st.one_of(IN_TEXT, NUMBER, OTHER)
WORD = st.one_of(
    st.text("aZ09 .:@/_-~\t\x00\x7f\x85\xa0\u2028ſé😀", max_size=6),
    st.sampled_from(
        [
            "x" * 256,
            "x" * 257,
            "x" * 128,
            "x" * 129,
            "x" * 64,
            "x" * 65,
            "Free",
            "model_credits",
            "tool_runs",
            "model",
            "Model",
            "guardrail",
            "deployed",
            "ready_to_deploy",
            "base",
            "fine_tuned",
        ]
    ),
)
NAME: Draw = st.one_of(WORD.map(json.dumps), OTHER)
TIME: Draw = st.one_of(
    st.sampled_from(
        ["2026-03-01T12:00:00Z", "2026-03-01t12:00:00z", "2026-03-01T12:00:00.123456789+01:00", "2026-03-01 12:00:00Z",
         "2026-03-01T12:00:00", "2026-03-01", "2026-03-01T24:00:00Z", "2026-03-01T12:00:60Z", "2026-13-01T12:00:00Z",
         "2026-02-28T12:00:00+24:00", "2026-03-01T12:00:00-00:00", "2026-03-01T12:00:00.Z", ""]
    ).map(json.dumps),
    OTHER,
)  # fmt: skip
MEDIA: Draw = st.one_of(
    st.sampled_from(
        ["application/json", "Application/JSON; charset=utf-8", "text/json", "application/vnd.example+json",
         "text/plain", "application/jsonx", "application/j\u017fon", "application/json\t;", "json", ""]
    ).map(json.dumps),
    OTHER,
)  # fmt: skip

FIELDS: dict[str, Draw] = {
    "credits": AMOUNT, "amount": AMOUNT, "runs": AMOUNT, "resource": NAME, "plan": NAME, "revokes": NAME,
    "reverses": NAME, "input_tokens": AMOUNT, "output_tokens": AMOUNT, "deployment": NAME, "status": NAME,
    "display_name": NAME, "time_zone": NAME, "model": NAME, "guardrail": NAME, "script": NAME, "tool": NAME,
    "reason": NAME, "reference": NAME, "kind": NAME, "id": NAME, "name": NAME, "owner": NAME, "type": NAME,
    "language": NAME, "version": NAME, "deployed_at": TIME, "category": NAME, "hardware": NAME, "seconds": AMOUNT,
    "replicas": AMOUNT, "cpus": AMOUNT, "memory_gb": AMOUNT, "reverses_source": NAME,
}  # fmt: skip
ATTRIBUTES: dict[str, Draw] = {
    "id": NAME, "source": st.one_of(NAME, st.just('"/credit-meter/meter"')), "subject": NAME, "specversion": NAME,
    "time": TIME, "datacontenttype": MEDIA, "traceparent": st.one_of(NAME, AMOUNT), "Trace-Id": OTHER,
}  # fmt: skip


def properties_of(type: str) -> list[str]:
    return list(INPUT_TYPES[type].model.model_fields)


CASES = [
    *((type, "data", field) for type in EXAMPLES for field in properties_of(type) if field != "contacts"),
    *(("usage.tool_run.v1", "event", attribute) for attribute in ATTRIBUTES),
]


def with_value(type: str, place: str, field: str, text: str) -> str:
    """An event as JSON text with one value put in as it is, or left out."""
    event = make_event(type)
    target = event["data"] if place == "data" else event
    changed = {**target, field: "@value@"}
    event = {**event, "data": changed} if place == "data" else changed
    return json.dumps(event).replace('"@value@"', text)


def exact(text: str) -> Any:
    """A JSON number without loss, an integer where it is whole: as JSON Schema counts 1.0 and 1e0."""
    value = Decimal(text)
    if value and value.adjusted() > 30:
        return 10**30  # far beyond every limit, and short
    return int(value) if value == value.to_integral_value() else value


def is_too_fine(value: Any) -> bool:
    """A number with more than six decimals: JSON Schema cannot say that it is refused."""
    return isinstance(value, Decimal) and value != value.quantize(Decimal("0.000001"))


def is_taken(type: str, text: str) -> bool:
    """Whether the parser takes it; where it lies does not matter here."""
    record = make_record(text.encode(), topic=INPUT_TYPES[type].topic, key=None, partition=0)
    return not isinstance(parse(record, NOW, LIMITS), Rejected)


@pytest.mark.parametrize(("type", "place", "field"), CASES, ids=lambda part: str(part))
def test_schema_and_parser_agree(type: str, place: str, field: str) -> None:
    validator = payload_of(type)
    values = FIELDS[field] if place == "data" else ATTRIBUTES[field]

    @given(values)
    def agree(value: str) -> None:
        text = with_value(type, place, field, value)
        event = json.loads(text, parse_float=exact, parse_int=exact)
        target = event["data"] if place == "data" else event
        if is_too_fine(target[field]):
            return
        taken, valid = is_taken(type, text), validator.is_valid(event)
        assert taken == valid, f"{field} {value}: parser {taken}, schema {valid}"

    agree()
