"""What is for information never costs the event; what counts is refused where it cannot be kept."""

import json
from typing import Any

import pytest

from schemas.events import INPUT_TYPES
from schemas.parsing.for_information import is_for_information
from schemas.parsing.parse import Accepted, Remarked, parse
from schemas.reasons import Reason
from schemas.records import Remark
from schemas.zones import known_zones
from tests.unit.schemas.builders import EXAMPLES, LIMITS, NOW, accept, make_event, record_of, reject

BAD_TEXTS = ("a\x00b", "\ud800", "\udc00\ud800", "\u202e\x00")
FIELDS = [(type, name) for type, event in INPUT_TYPES.items() for name in (*event.model.model_fields, "unknown")]


def with_field(type: str, name: str, value: Any) -> Any:
    """Surrogates stand in it as escapes, as JSON can have them: bytes that are not UTF-8 are no JSON at all."""
    event = make_event(type, data={**EXAMPLES[type], name: value})
    return record_of(event)._replace(value=json.dumps(event).encode())


def remarks_of(record: Any) -> tuple[Remark, ...]:
    result = parse(record, NOW, LIMITS)
    assert isinstance(result, Remarked), result
    return result.remarks


@pytest.mark.parametrize("bad", BAD_TEXTS, ids=ascii)
@pytest.mark.parametrize(("type", "name"), FIELDS)
def test_what_cannot_be_kept_is_left_out_where_it_is_for_information(type: str, name: str, bad: str) -> None:
    for value in (bad, {"within": [bad]}, {bad: 1}):
        record = with_field(type, name, value)
        if name == "contacts" or is_for_information(INPUT_TYPES[type].model, name):
            if name == "contacts" and type == "account.contacts_changed.v1":
                assert reject(record).reason is Reason.INVALID_CONTACTS  # names no good address
                continue
            event = accept(record)
            assert event.amount == accept(record_of(make_event(type))).amount
            assert remarks_of(record)[0].field == name
            kept = json.loads(event.data)
            assert name == "contacts" or name not in kept
            event.data.encode()
            assert "\\u0000" not in event.data and "\\ud" not in event.data
        else:
            reject(record)


def test_the_good_contacts_beside_one_that_cannot_be_kept_are_taken() -> None:
    record = with_field("account.opened.v1", "contacts", ["b\x00@example.com", "ok@example.com"])
    assert json.loads(accept(record).data)["contacts"] == ["ok@example.com"]
    assert remarks_of(record) == (Remark("contacts[0]", "is not one plain email address"),)


def test_a_key_that_cannot_be_kept_goes_with_its_value() -> None:
    record = with_field("usage.guardrail.v1", "a\ud800", 1)
    assert json.loads(accept(record).data) == EXAMPLES["usage.guardrail.v1"]
    assert remarks_of(record) == (Remark("a\\ud800", "cannot be read"),)


@pytest.mark.parametrize("name", ["reverses", "reverses_source", "resource", "reason"])
def test_what_a_correction_names_is_not_for_information(name: str) -> None:
    assert reject(with_field("usage.reversed.v1", name, "a\x00b")).reason is Reason.INVALID_TEXT


def test_a_renaming_that_names_nothing_is_remarked() -> None:
    record = record_of(make_event("account.renamed.v1", data={}))
    assert [remark.field for remark in remarks_of(record)] == ["display_name"]
    unreadable = record_of(make_event("account.renamed.v1", data={"time_zone": "Mars/X"}))
    assert [remark.field for remark in remarks_of(unreadable)] == ["time_zone", "display_name"]


# --- zones ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["account.opened.v1", "account.renamed.v1"])
@pytest.mark.parametrize(
    ("sent", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("ASIA/TOKYO", "Asia/Tokyo"),
        ("utc", "UTC"), ("america/argentina/buenos_aires", "America/Argentina/Buenos_Aires"),
    ],
)  # fmt: skip
def test_a_zone_in_any_case_is_the_zone(type: str, sent: str, zone: str) -> None:
    event = accept(with_field(type, "time_zone", sent))
    data = INPUT_TYPES[type].model.model_validate_json(event.data)
    assert data.time_zone == zone  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "sent",
    [
        "posix/Europe/Berlin", "right/Europe/Berlin", "Mars/X", "pst", "UTC+3", "+03:00", "<X>-3", "localtime",
        "Factory", "Europe", "Europe/", "../etc/passwd", "",
    ],
)  # fmt: skip
def test_what_two_programs_would_read_differently_is_no_zone(sent: str) -> None:
    record = with_field("account.opened.v1", "time_zone", sent)
    assert remarks_of(record) == (Remark("time_zone", "cannot be read"),)


def test_the_zones_are_there() -> None:
    assert len(known_zones()) > 400


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [3, 3.0, "3", "3.0", "3.000000000", "003"])
def test_runs_in_any_exact_spelling_count(sent: Any) -> None:
    assert accept(with_field("usage.tool_run.v1", "runs", sent)).amount == 3_000_000


@pytest.mark.parametrize("sent", ["", "3.5", "-3", "1e3", "three", " 3", "٣", 0, "0", 3.5, True, None, "9" * 400])
def test_no_other_runs_do(sent: Any) -> None:
    result = parse(with_field("usage.tool_run.v1", "runs", sent), NOW, LIMITS)
    assert not isinstance(result, Accepted | Remarked), result
