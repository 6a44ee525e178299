"""What is said of a bad value: of every field of every event, in words for people and none of a library's."""

import re
from typing import Any

import pytest

from schemas.events import INPUT_TYPES
from schemas.faults import NO_FORM, explain_fault
from schemas.parsing.reference_reader import validate_data
from schemas.reasons import InvalidEventError, Reason
from schemas.records import place_of
from tests.unit.schemas.builders import EXAMPLES, make_event, record_of, reject

FOREIGN = re.compile(r"[Ii]nput|Value error|should|[Vv]alid|unable to|pattern|instance|<class|JSON Schema|\[\d|None")
BAD: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**30, "", " ", "-1", "x\x00", "x" * 3_000, "Gold Plated!", "\u00e9" * 200, [], ["x"],
    [1, 2] * 20, {}, {"a": 1},
)  # fmt: skip
FIELDS = [(type, field) for type, event in INPUT_TYPES.items() for field in event.model.model_fields]


@pytest.mark.parametrize(("type", "field"), FIELDS, ids=str)
def test_no_bad_value_is_answered_in_the_words_of_a_library(type: str, field: str) -> None:
    details = [find_detail(type, field, value) for value in BAD]
    said = [detail for detail in details if detail is not None]
    assert [detail for detail in said if not detail.startswith(field) or len(detail) < len(field) + 6] == []
    assert [detail for detail in said if FOREIGN.search(detail)] == []


def find_detail(type: str, field: str, value: Any) -> str | None:
    """None where the value is taken, or left out."""
    try:
        validate_data(INPUT_TYPES[type].model, EXAMPLES[type] | {field: value})
    except InvalidEventError as error:
        return error.detail
    return None


@pytest.mark.parametrize("type", INPUT_TYPES)
def test_a_field_that_is_missing_is_said_to_be(type: str) -> None:
    for field, rules in INPUT_TYPES[type].model.model_fields.items():
        if rules.is_required():
            with pytest.raises(InvalidEventError, match=f"{field}: is missing"):
                validate_data(INPUT_TYPES[type].model, {k: v for k, v in EXAMPLES[type].items() if k != field})


@pytest.mark.parametrize(
    ("type", "data", "detail"),
    [
        ("usage.tool_run.v1", {"runs": 1.5}, "runs: is no whole number"),
        ("usage.tool_run.v1", {"runs": 0}, "runs: is less than 1, the least that is taken"),
        ("usage.tool_run.v1", {"tool": 7}, "tool: is no text"),
        ("usage.tool_run.v1", {"tool": ""}, "tool: is empty"),
        ("usage.tool_run.v1", {"tool": "x" * 257}, "tool: is longer than 256 characters"),
        ("account.plan_changed.v1", {"plan": "a b"}, "plan: is not 1 to 64 of the letters a to z, digits, _ and -"),
        ("credits.granted.v1", {"resource": "x"}, "resource: is none of 'model_credits' or 'tool_runs'"),
        ("credits.revoked.v1", {"revokes": "\u00e9"}, "revokes: is not 1 to 128 printable ASCII characters"),
        ("item.changed.v1", {"kind": "x"}, "kind: is none of 'model', 'guardrail', 'script' or 'tool'"),
    ],
)  # fmt: skip
def test_a_fault_in_words(type: str, data: dict[str, Any], detail: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        validate_data(INPUT_TYPES[type].model, EXAMPLES[type] | data)
    assert caught.value.detail == detail


def test_contacts_are_counted_as_people_count() -> None:
    event = make_event("account.contacts_changed.v1", {"contacts": ["bad@localhost"]})
    outcome = reject(record_of(event))
    assert outcome.reason is Reason.INVALID_CONTACTS
    assert outcome.detail == "contact 1 is not one plain email address"
    assert (place_of("contacts[20]"), place_of("display_name"), place_of("a[b]")) == (
        "contact 21",
        "display_name",
        "a[b]",
    )


def test_a_kind_that_nobody_expected_is_not_passed_on() -> None:
    assert explain_fault("url_scheme", {}, "URL scheme should be 'http'") == NO_FORM
    assert explain_fault("string_pattern_mismatch", {"pattern": "^x$"}, "String should") == NO_FORM
    assert explain_fault("zone", {}, "is no IANA time zone") == "is no IANA time zone"
