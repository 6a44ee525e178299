"""What is said of an event whose id belongs to another: both of them, and nothing of a person."""

import json
from collections.abc import Mapping

import pytest

from meter.content import MAX_VALUE_CHARS, Content, content_of, describe_reuse, is_same
from schemas.amounts import MICRO
from schemas.codes import CODES
from tests.contract.rows import opened

GRANT = {"resource": "model_credits", "amount": "7", "reason": "top_up", "reference": "r"}
Data = Mapping[str, object]
RENAMED, CONTACTS = CODES["account.renamed.v1"], CODES["account.contacts_changed.v1"]


def describe(type: int, new: Data, old: Data, name: str = "", amount: int = 0) -> str:
    """What is said of the new one, behind where the old one stands."""
    resource = 1 if amount else None
    event = opened(1, type=type, name=name, resource=resource, amount=amount, data=json.dumps(new))
    stored = Content(type, resource, amount, name, json.dumps(old), "position 5")
    return describe_reuse(event, stored).partition("; ")[2]


def describe_grant(new: Data, old: Data) -> str:
    return describe(CODES["credits.granted.v1"], new, old, "top_up", 7 * MICRO)


def test_fields_that_differ_are_shown_with_both_values() -> None:
    said = describe_grant(GRANT | {"reference": "other"}, GRANT)
    assert said == (
        "this record, credits.granted.v1, 7 model_credits, 'top_up' with reference 'other', not 'r', is not counted"
    )
    named = {"kind": "tool", "id": "a", "name": "b", "status": "deployed", "version": "1", "language": "go"}
    assert describe(CODES["item.changed.v1"], dict.fromkeys(named, "x"), named, "x").count(", not ") == 3
    assert "and 3 more, is not counted" in describe(CODES["item.changed.v1"], dict.fromkeys(named, "x"), named, "x")


@pytest.mark.parametrize("value", ["\x1b[2J", "x" * 10_000, "\U0001f469" * 500, ["a"] * 5_000])
def test_values_are_bounded_and_printable(value: object) -> None:
    said = describe_grant(GRANT | {"reference": value}, GRANT)
    assert said.isprintable() and said.isascii() and len(said) < 200 + MAX_VALUE_CHARS


@pytest.mark.parametrize(
    ("type", "new", "old", "said"),
    [
        (CONTACTS, {"contacts": ["ann@example.com"]}, {"contacts": ["bob@example.com"]}, "other contacts"),
        (RENAMED, {"display_name": "Ann"}, {"display_name": "Bob"}, "another display name"),
        (RENAMED, {"display_name": "Ann"}, {"time_zone": "Asia/Tokyo"}, "another display name and another time zone"),
        (CODES["item.changed.v1"], {"owner": "Ann"}, {"owner": "Bob"}, "another owner"),
        (RENAMED, {"nick\u0007": "Ann"}, {}, "another 'nick\\x07'"),
    ],
)  # fmt: skip
def test_nothing_of_a_person_is_shown(type: int, new: Data, old: Data, said: str) -> None:
    whole = describe(type, new, old)
    assert f" with {said}, is not counted" in whole
    assert not any(person in whole.lower() for person in ("ann@", "bob", "'ann'", "''"))


def test_without_a_name_there_are_no_empty_quotes() -> None:
    assert "''" not in describe(RENAMED, {"display_name": "Ann"}, {"display_name": "Bob"})


@pytest.mark.parametrize("field", ["reverses", "revokes", "contacts", "sealed", "plan", "time_zone"])
@pytest.mark.parametrize("value", [0, True, {}, {"a": 1}, [], [1], [{}], "", "x", None, 1e30])
def test_a_field_of_another_type_may_hold_anything(field: str, value: object) -> None:
    """It is stored as it was sent. A repeat in another spelling is compared all the same, and ends no service."""
    data = GRANT | {field: value}
    event = opened(1, type=CODES["credits.granted.v1"], name="top_up", resource=1, amount=7, data=json.dumps(data))
    assert is_same(event, content_of(event)._replace(data=json.dumps(data, indent=1)))
    assert not is_same(event, content_of(event)._replace(data=json.dumps(data | {"reference": "other"})))
