"""Contacts that are taken, and what is left out of them: no bad address costs an opening or the good ones beside it."""

import json
from typing import Any

import pytest

from schemas.contacts import MAX_REMARKS, take_contacts
from schemas.parsing.parse import Remark, Remarked, parse
from tests.unit.schemas.builders import LIMITS, NOW, accept, make_event, record_of

TWENTY = [f"a{n}@example.com" for n in range(20)]
NONE = "is not one plain email address"


@pytest.mark.parametrize(
    ("sent", "taken", "left_out"),
    [
        (["ok@example.com", "bad@localhost"], ["ok@example.com"], [("contacts[1]", NONE)]),
        (["A@x.example", "a@X.example"], ["A@x.example"], [("contacts[1]", "is an address that stands before it")]),
        ([*TWENTY, "b@example.com"], TWENTY, [("contacts[20]", "comes after 20 good addresses")]),
        (["ann@b\u00fccher.example"], ["ann@xn--bcher-kva.example"], []),
        (["Ann@EXAMPLE.com"], ["Ann@example.com"], []),
        (["ann@stra\u00dfe.example"], ["ann@xn--strae-oqa.example"], []),
        (["ann@\u2603.example"], [], [("contacts[0]", NONE)]),
        (["\u00e4nn@example.com", 1, None], [], [(f"contacts[{n}]", NONE) for n in range(3)]),
        (
            ["=?utf-8?q?=0D=0ABcc=3Ax?=@example.com", "a=?b@example.com"],
            [],
            [(f"contacts[{n}]", NONE) for n in range(2)],
        ),
        ([], [], []),
        ("ann@example.com", [], [("contacts", "is missing or no list")]),
    ],
)
def test_good_addresses_are_taken_and_the_others_remarked(sent: Any, taken: list[str], left_out: list[Any]) -> None:
    found = take_contacts(sent)
    assert (list(found.contacts), list(found.remarks)) == (taken, [Remark(*remark) for remark in left_out])


def test_what_is_taken_is_taken_as_it_is() -> None:
    once = take_contacts(["Ann@B\u00dcCHER.example", "eve@example.com"]).contacts
    assert take_contacts(list(once)) == (once, ())


def test_remarks_are_bounded_and_show_no_address() -> None:
    remarks = take_contacts([f"secret{n}" for n in range(1000)]).remarks
    assert len(remarks) == MAX_REMARKS + 1
    assert remarks[-1] == Remark("contacts", f"{1000 - MAX_REMARKS} more are left out")
    assert "secret" not in repr(remarks)


def test_an_opening_is_stored_with_the_good_addresses_and_the_rest_as_sent() -> None:
    data = {"plan": "Free", "contacts": ["bad", "Ann@EXAMPLE.com"], "display_name": "  ", "seats": 5}
    result = parse(record_of(make_event("account.opened.v1", data)), NOW, LIMITS)
    assert isinstance(result, Remarked)
    assert json.loads(result.event.data) == {**data, "contacts": ["Ann@example.com"]}
    assert result.remarks == (Remark("contacts[0]", NONE), Remark("display_name", "cannot be read"))


@pytest.mark.parametrize("contacts", [{}, {"contacts": None}, {"contacts": "x@example.com"}, {"contacts": [1, ["a"]]}])
def test_bad_contacts_never_cost_the_opening(contacts: dict[str, Any]) -> None:
    event = accept(record_of(make_event("account.opened.v1", {"plan": "free", **contacts})))
    assert json.loads(event.data)["contacts"] == []


def test_a_change_of_contacts_takes_the_good_ones() -> None:
    result = parse(record_of(make_event("account.contacts_changed.v1", {"contacts": ["bad", *TWENTY]})), NOW, LIMITS)
    assert isinstance(result, Remarked)
    assert json.loads(result.event.data) == {"contacts": TWENTY}


def test_a_change_to_no_contact_at_all_is_meant() -> None:
    assert json.loads(accept(record_of(make_event("account.contacts_changed.v1", {"contacts": []}))).data) == {
        "contacts": []
    }


@pytest.mark.parametrize(
    ("type", "data", "field"),
    [
        ("usage.tool_run.v1", {"tool": "search", "status": ""}, "status"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "deployment": ""}, "deployment"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "deployment": " "}, "deployment"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "input_tokens": -1}, "input_tokens"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "output_tokens": "812"}, "output_tokens"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "category": "chat"}, "category"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "seconds": "60"}, "seconds"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "seconds": -1}, "seconds"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "seconds": 10**9 + 1}, "seconds"),
        ("usage.model_inference.v1", {"credits": "1", "model": "m", "replicas": 1.5}, "replicas"),
        ("usage.guardrail.v1", {"credits": "1", "guardrail": "g", "cpus": True}, "cpus"),
        ("usage.custom_script.v1", {"credits": "1", "script": "s", "memory_gb": []}, "memory_gb"),
        ("usage.custom_script.v1", {"credits": "1", "script": "s", "language": ""}, "language"),
    ],
)
def test_a_field_for_information_that_cannot_be_read_is_remarked(type: str, data: dict[str, Any], field: str) -> None:
    result = parse(record_of(make_event(type, data)), NOW, LIMITS)
    assert isinstance(result, Remarked)
    assert result.remarks == (Remark(field, "cannot be read"),)
    assert json.loads(result.event.data) == data


def test_exact_spellings_and_absent_fields_are_not_remarked() -> None:
    data = {"credits": "1", "model": "m", "input_tokens": 812.0, "output_tokens": None, "deployment": "eu"}
    assert not isinstance(parse(record_of(make_event("usage.model_inference.v1", data)), NOW, LIMITS), Remarked)
