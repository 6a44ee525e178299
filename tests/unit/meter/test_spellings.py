"""What is the same event: the same content, however it is spelled. Of every type but usage, whose columns count."""

from typing import Any

import pytest

from meter.content import content_of, is_same
from schemas.codes import USAGE_CODES
from schemas.events import INPUT_TYPES
from schemas.records import Accepted
from tests.unit.schemas.builders import EXAMPLES, accept, make_event, record_of

OTHERS = sorted(type for type, event in INPUT_TYPES.items() if event.code not in USAGE_CODES)
GRANT = {**EXAMPLES["credits.granted.v1"], "amount": "10"}
UUID = "019B76DA-A800-79AB-AA7B-5BF55EB561A4"
# Each field of the contract in two spellings that are stored as one.
SPELLINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *(
        (type, {"amount": "10"}, {"amount": other})
        for type in ("credits.granted.v1", "credits.revoked.v1", "usage.reversed.v1")
        for other in ("10.0", "010", 10, 10.0, "10.0000000")
    ),
    *(
        (type, {"plan": "free_trial"}, {"plan": "Free_Trial"})
        for type in ("account.opened.v1", "account.plan_changed.v1")
    ),
    *(
        (type, {"contacts": ["B@Example.com", "c@b\u00fccher.example"]}, {"contacts": other})
        for type in ("account.opened.v1", "account.contacts_changed.v1")
        for other in (
            ["B@example.com", "c@xn--bcher-kva.example"],
            ["b@example.com", "C@b\u00dccher.example"],
            ["b@example.com", "nobody", "c@xn--bcher-kva.example", "C@xn--bcher-kva.example"],
        )
    ),
    *(
        (type, {"time_zone": "Europe/Berlin"}, {"time_zone": "europe/BERLIN"})
        for type in ("account.opened.v1", "account.renamed.v1")
    ),
    ("account.opened.v1", {"display_name": None}, {"display_name": "   "}),
    (
        "account.renamed.v1",
        {"display_name": "Ann", "time_zone": None},
        {"display_name": "Ann", "time_zone": "Nowhere/X"},
    ),
    ("credits.revoked.v1", {"revokes": UUID}, {"revokes": UUID.lower()}),
    ("usage.reversed.v1", {"reverses": UUID}, {"reverses": UUID.lower()}),
    (
        "item.changed.v1",
        {"deployed_at": "2026-02-01T00:00:00Z", "language": None},
        {"deployed_at": "2026-02-01T01:00:00.000+01:00", "language": ""},
    ),
]


def made(type: str, data: dict[str, Any]) -> Accepted:
    return accept(record_of(make_event(type, {**EXAMPLES[type], **data})))


@pytest.mark.parametrize(("type", "data", "other"), SPELLINGS, ids=str)
def test_another_spelling_is_the_same_content(type: str, data: dict[str, Any], other: dict[str, Any]) -> None:
    first, again = made(type, data), made(type, other)
    assert is_same(again, content_of(first)) and is_same(first, content_of(again))


def test_the_spellings_are_of_every_field_that_is_read() -> None:
    """A field that is read into something else than it was sent needs its line above."""
    spelled = {(type, name) for type, data, _ in SPELLINGS for name in data}
    taken_as_sent = {"reason", "reference", "resource", "kind", "id", "name", "status", "owner", "type", "version"}
    taken_as_sent |= {"reverses_source"}
    fields = {(type, name) for type in OTHERS for name in INPUT_TYPES[type].model.model_fields}
    assert {(type, name) for type, name in fields - spelled if name not in taken_as_sent} == set()


@pytest.mark.parametrize("type", OTHERS)
def test_another_value_of_any_field_is_other_content(type: str) -> None:
    others: dict[str, Any] = {
        "amount": "11", "plan": "other", "contacts": ["other@example.com"], "time_zone": "Asia/Tokyo",
        "resource": "tool_runs", "kind": "tool", "status": "draft", "type": "fine_tuned",
        "deployed_at": "2026-02-02T00:00:00Z", "note": 1,
    }  # fmt: skip
    first = made(type, {"amount": "10", "resource": "model_credits"} if "amount" in EXAMPLES[type] else {})
    for name in (*INPUT_TYPES[type].model.model_fields, "note"):
        moved = {"amount": "10", "resource": "model_credits"} if "amount" in EXAMPLES[type] else {}
        other = made(type, {**moved, name: others.get(name, "other")})
        assert not is_same(other, content_of(first)), name


@pytest.mark.parametrize(
    ("sent", "again", "same"),
    [("1", "1", True), ("1", "1.0", False), ("A", "a", False), (1, 1.0, True), ({"a": 1}, {"a": 2}, False)],
)
def test_what_the_contract_does_not_have_counts_as_it_was_sent(sent: Any, again: Any, same: bool) -> None:
    first, other = made("credits.granted.v1", {"note": sent}), made("credits.granted.v1", {"note": again})
    assert is_same(other, content_of(first)) is same


def test_what_was_stored_before_a_rule_is_compared_as_it_was_sent() -> None:
    first = made("credits.granted.v1", GRANT)
    old = content_of(first)._replace(data='{"resource":"model_credits","amount":"-10"}')
    assert not is_same(first, old)
    assert is_same(first._replace(data='{"amount": "-10", "resource": "model_credits"}'), old)
