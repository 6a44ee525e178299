import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.events import CODES, INPUT_TYPES, AccountOpened, AccountRenamed, ModelInference
from schemas.parsing.parse import Limits
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import partition_for
from schemas.upcast import read_stored
from tests.unit.schemas.builders import (
    ACCOUNT,
    EVENT_ID,
    EXAMPLES,
    NOW,
    accept,
    make_event,
    make_record,
    record_of,
    to_bytes,
)

CREDITS, RUNS = RESOURCE_CODES[Resource.MODEL_CREDITS], RESOURCE_CODES[Resource.TOOL_RUNS]
FACTS = {
    "usage.model_inference.v1": (CREDITS, 250_000, "sage-3"),
    "usage.guardrail.v1": (CREDITS, 1, "toxicity"),
    "usage.custom_script.v1": (CREDITS, 3_000_000, "score-lead"),
    "usage.tool_run.v1": (RUNS, 2_000_000, "search_web"),
    "item.changed.v1": (None, 0, "sage-3"),
    "account.opened.v1": (None, 0, "free"),
    "account.plan_changed.v1": (None, 0, "team"),
    "account.contacts_changed.v1": (None, 0, ""),
    "account.renamed.v1": (None, 0, ""),
    "account.closed.v1": (None, 0, ""),
    "account.reopened.v1": (None, 0, ""),
    "account.forgotten.v1": (None, 0, "request of 3 May"),
    "credits.granted.v1": (RUNS, 100_000_000, "top_up"),
    "credits.revoked.v1": (RUNS, 50_000_000, "chargeback"),
    "usage.reversed.v1": (CREDITS, 250_000, "failed run"),
}


def test_every_input_type_has_an_example() -> None:
    assert FACTS.keys() == EXAMPLES.keys() == INPUT_TYPES.keys()


@pytest.mark.parametrize("type", FACTS)
def test_every_type_is_read(type: str) -> None:
    record = record_of(make_event(type))
    event = accept(record)
    assert (event.resource, event.amount, event.name) == FACTS[type]
    assert event.type == CODES[type]
    assert event.topic == record.topic
    assert event.offset == record.offset
    assert event.event_id == EVENT_ID
    assert event.account_id == ACCOUNT
    assert event.occurred_at == datetime(2026, 3, 1, 11, 59, 59, 123_456, tzinfo=UTC)
    assert event.source == "https://agents.example.com/assistant-1"
    assert json.loads(event.data) == EXAMPLES[type]
    assert event.extensions is None


@pytest.mark.parametrize("credits", ["0.25", 0.25, "0.250000", "00.25", "0.25000000", "0" * 13 + ".25"])
def test_amounts_are_text_or_numbers(credits: Any) -> None:
    assert accept(record_of(make_event(data={"credits": credits, "guardrail": "g"}))).amount == 250_000


@pytest.mark.parametrize(
    ("number", "micro"),
    [
        ("0", 0),
        ("1", 1_000_000),
        ("1e-05", 10),
        ("1E-6", 1),
        ("1.5e2", 150_000_000),
        ("10000", 10**10),
        ("12.5000000", 12_500_000),
        ("1e3", 10**9),
    ],
)
def test_numbers_count_as_written(number: str, micro: int) -> None:
    value = to_bytes(make_event(data={"credits": "?", "guardrail": "g"})).replace(b'"?"', number.encode())
    event = accept(make_record(value))
    assert event.amount == micro
    assert event.data == f'{{"credits":{number},"guardrail":"g"}}'


def test_runs_are_one_by_default() -> None:
    assert accept(record_of(make_event("usage.tool_run.v1", {"tool": "t"}))).amount == 1_000_000


def test_data_is_kept_as_sent() -> None:
    data = '{ "credits" : 1.50 ,"guardrail":"caf\\u00e9","more": [1e2, -0.0, {"x": null}], "big": 123456789012345678 }'
    value = to_bytes(make_event(data="?")).replace(b'"?"', data.encode())
    event = accept(make_record(value))
    assert event.data == data
    assert event.name == "café"
    assert event.amount == 1_500_000


def test_null_leaves_an_optional_field_out() -> None:
    data = {"credits": "1", "model": "m", "deployment": None, "input_tokens": None}
    assert accept(record_of(make_event("usage.model_inference.v1", data))).name == "m"


def test_ids_are_kept_in_lower_case() -> None:
    assert accept(record_of(make_event(id=EVENT_ID.upper()))).event_id == EVENT_ID


@pytest.mark.parametrize("version", [1, 4, 7])
def test_any_version_of_uuid_will_do(version: int) -> None:
    text = f"{EVENT_ID[:14]}{version}{EVENT_ID[15:]}"
    assert accept(record_of(make_event(id=text))).event_id == text


def test_times_become_utc_microseconds() -> None:
    event = accept(record_of(make_event(time="2026-03-01T13:00:00.123456789+02:00")))
    assert event.occurred_at == datetime(2026, 3, 1, 11, 0, 0, 123_456, tzinfo=UTC)
    assert event.occurred_at.tzinfo is UTC


def test_an_hour_ahead_is_allowed_to_the_microsecond() -> None:
    moment = (NOW + timedelta(hours=1)).isoformat()
    assert accept(record_of(make_event(time=moment))).occurred_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("late", [timedelta(days=1), timedelta(days=399, hours=23), timedelta(days=400)])
def test_late_events_are_welcome_up_to_the_limit(late: timedelta) -> None:
    assert accept(record_of(make_event(time=(NOW - late).isoformat()))).occurred_at == NOW - late


@pytest.mark.parametrize("extensions", [{}, {"traceparent": "00"}, {"timefrom": "me"}])
def test_a_missing_time_is_kafkas_and_the_stored_event_says_so(extensions: dict[str, str]) -> None:
    event = accept(record_of(make_event(time=None, **extensions)))
    assert event.occurred_at == datetime(2026, 2, 25, 6, 13, 20, tzinfo=UTC)
    assert json.loads(event.extensions or "") == {**extensions, "timefrom": "kafka"}


NO_TOKENS: list[Any] = [812.5, "812", -1, 10**16, 10**400, True, [1], {}]
BLANKS: list[Any] = ["", " ", "\x01", "x" * 257, 5, True, [], {}]


@pytest.mark.parametrize(
    ("type", "field", "value"),
    [
        *(("usage.tool_run.v1", "status", value) for value in BLANKS),
        *(("usage.model_inference.v1", "deployment", value) for value in BLANKS),
        *(
            ("usage.model_inference.v1", field, value)
            for field in ("input_tokens", "output_tokens")
            for value in NO_TOKENS
        ),
        *(("account.opened.v1", "display_name", value) for value in BLANKS),
    ],
)
def test_fields_for_information_never_cost_the_billing(type: str, field: str, value: Any) -> None:
    event = accept(record_of(make_event(type, {**EXAMPLES[type], field: value})))
    assert (event.resource, event.amount, event.name) == FACTS[type]
    assert json.loads(event.data)[field] == value
    assert getattr(read_stored(event.type, event.data), field) is None


@pytest.mark.parametrize(
    ("zone", "read"),
    [
        ("UTC", "UTC"), ("Etc/GMT+12", "Etc/GMT+12"), ("America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
        ("", None), (" UTC", None), ("UTC\n", None), ("../etc", None), ("a/b/c/d", None), ("x" * 65, None), (5, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("type", ["account.opened.v1", "account.renamed.v1"])
def test_what_is_no_time_zone_is_left_out(type: str, zone: Any, read: str | None) -> None:
    event = accept(record_of(make_event(type, {**EXAMPLES[type], "time_zone": zone})))
    data = read_stored(event.type, event.data)
    assert isinstance(data, AccountOpened | AccountRenamed)
    assert data.time_zone == read


@pytest.mark.parametrize("tokens", ["812.0", "8.12e2", "812"])
def test_whole_tokens_of_any_spelling_are_taken(tokens: str) -> None:
    event = accept(
        make_record(to_bytes(make_event("usage.model_inference.v1")).replace(b":12,", f":{tokens},".encode()))
    )
    read = read_stored(event.type, event.data)
    assert isinstance(read, ModelInference)
    assert read.input_tokens == 812


@pytest.mark.parametrize("runs", ["2", "2.0", "20e-1"])
def test_whole_runs_of_any_spelling_are_taken(runs: str) -> None:
    value = to_bytes(make_event("usage.tool_run.v1")).replace(b":2,", f":{runs},".encode())
    assert accept(make_record(value)).amount == 2_000_000


@pytest.mark.parametrize(
    ("plan", "name"), [("Free", "free"), ("FREE_trial", "free_trial"), ("free_trial", "free_trial")]
)
def test_plans_are_taken_in_any_case(plan: str, name: str) -> None:
    assert accept(record_of(make_event("account.plan_changed.v1", {"plan": plan}))).name == name


def test_extensions_are_kept_as_sent() -> None:
    event = accept(
        record_of(make_event(traceparent="00-ab-cd-01", sampled=True, tries=3, dataschema="https://example.com/s"))
    )
    assert (
        event.extensions
        == '{"traceparent":"00-ab-cd-01","sampled":true,"tries":3,"dataschema":"https://example.com/s"}'
    )


def test_null_attributes_are_as_if_not_there() -> None:
    value = to_bytes(make_event(traceparent="?")).replace(b'"?"', b"null")
    assert accept(make_record(value)).extensions is None


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "text/json", "application/vnd.x+json"]
)
def test_any_json_media_type_will_do(content_type: str) -> None:
    accept(record_of(make_event(datacontenttype=content_type)))


def test_the_content_type_may_be_left_out() -> None:
    accept(record_of(make_event(datacontenttype=None)))


@pytest.mark.parametrize("account", ["a", "A.b_c:d@e-f", "x" * 128])
def test_account_ids(account: str) -> None:
    assert accept(record_of(make_event(subject=account), key=account.encode())).account_id == account


def test_the_partition_follows_from_the_setting() -> None:
    limits = Limits(partitions=3)
    assert accept(record_of(make_event(), partition=partition_for(ACCOUNT.encode(), 3)), limits).account_id == ACCOUNT


def test_twenty_contacts_are_allowed() -> None:
    contacts = [f"a.b+{n}@mail-{n}.example.com" for n in range(20)]
    event = accept(record_of(make_event("account.contacts_changed.v1", {"contacts": contacts})))
    assert json.loads(event.data) == {"contacts": contacts}


def test_whitespace_around_the_event_is_json_too() -> None:
    accept(make_record(b" \r\n\t" + json.dumps(make_event(), indent=2).encode() + b"\n"))
