from dataclasses import replace
from typing import Any

import pytest

from schemas.inputs import UsageReversed
from schemas.reasons import Reason
from tests.unit.schemas.builders import LIMITS, accept, make_event, make_record, record_of, reject, to_bytes, with_data

INFERENCE = {"credits": "1", "model": "m"}
GRANT = {"resource": "tool_runs", "amount": "1", "reason": "r", "reference": "x", "reverses": "e"}


@pytest.mark.parametrize(
    "credits",
    [
        "-1",
        -1,
        -0.5,
        "1e3",
        "1e1000000",
        "NaN",
        "Infinity",
        "",
        " 1",
        "1\n",
        "1_000",
        "٣",
        "0.0000001",
        0.0000001,
        "10000000.000001",
        2**63,
        "9223372036854775808",
        10**400,
        True,
        None,
        [],
        {},
        "5.",
        ".5",
    ],
)
def test_amounts(credits: Any) -> None:
    assert reject(record_of(make_event(data={"credits": credits, "guardrail": "g"}))).reason is Reason.INVALID_AMOUNT


@pytest.mark.parametrize(
    "number", ["1e400", "1e-400", "0.30000000000000004", "1" * 5000, "0." + "0" * 5000 + "1", "1e7000"]
)
def test_numbers_as_amounts(number: str) -> None:
    assert reject(make_record(with_data(f'{{"credits":{number},"guardrail":"g"}}'))).reason is Reason.INVALID_AMOUNT


USAGE_AMOUNTS = [
    ("usage.model_inference.v1", {"model": "m"}, "credits", "10000", "10000.000001"),
    ("usage.guardrail.v1", {"guardrail": "g"}, "credits", 10_000, 10_001),
    ("usage.custom_script.v1", {"script": "s"}, "credits", "0010000.0", "10000000"),
    ("usage.tool_run.v1", {"tool": "t"}, "runs", 10_000, 10_001),
]


@pytest.mark.parametrize(("type", "data", "field", "most", "beyond"), USAGE_AMOUNTS)
def test_one_usage_event_has_a_limit_that_a_grant_has_not(
    type: str, data: dict[str, Any], field: str, most: Any, beyond: Any
) -> None:
    accept(record_of(make_event(type, {**data, field: most})))
    rejected = reject(record_of(make_event(type, {**data, field: beyond})))
    assert rejected.reason is Reason.AMOUNT_ABOVE_LIMIT
    assert "at most 10000" in rejected.detail and "METERING_MAX_USAGE" in rejected.reason.advice
    raised = replace(LIMITS, max_credits=10**13, max_runs=10**13)
    accept(record_of(make_event(type, {**data, field: beyond})), raised)
    lowered = replace(LIMITS, max_credits=10**6, max_runs=10**6)
    assert reject(record_of(make_event(type, {**data, field: 2})), lowered).reason is Reason.AMOUNT_ABOVE_LIMIT


@pytest.mark.parametrize("type", ["credits.granted.v1", "usage.reversed.v1"])
@pytest.mark.parametrize("resource", ["model_credits", "tool_runs"])
def test_grants_and_reversals_keep_their_bound(type: str, resource: str) -> None:
    data = {**GRANT, "resource": resource, "amount": "10000000"}
    assert accept(record_of(make_event(type, data))).amount == 10**13


@pytest.mark.parametrize("type", ["credits.granted.v1", "credits.revoked.v1", "usage.reversed.v1"])
@pytest.mark.parametrize("amount", ["0", "0.000000", 0, "-5", "10000000.1"])
def test_grants_and_reversals_are_above_zero(type: str, amount: Any) -> None:
    data = {"resource": "tool_runs", "amount": amount, "reason": "r", "reference": "x"}
    assert reject(record_of(make_event(type, data))).reason is Reason.INVALID_AMOUNT


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("usage.guardrail.v1", []),
        ("usage.guardrail.v1", "text"),
        ("usage.guardrail.v1", 1),
        ("usage.guardrail.v1", {}),
        ("usage.guardrail.v1", {"credits": "1"}),
        ("usage.guardrail.v1", {"guardrail": "g"}),
        ("usage.guardrail.v1", {"credits": "1", "guardrail": ""}),
        ("usage.guardrail.v1", {"credits": "1", "guardrail": "x" * 257}),
        ("usage.guardrail.v1", {"credits": "1", "guardrail": 5}),
        ("usage.guardrail.v1", {"credits": "1", "guardrail": None}),
        ("usage.model_inference.v1", {"credits": "1", "model": "   "}),
        ("usage.guardrail.v1", {"credits": "1", "guardrail": " "}),
        ("usage.custom_script.v1", {"credits": "1", "script": "\u00a0"}),
        ("usage.tool_run.v1", {"tool": " "}),
        ("credits.granted.v1", {**GRANT, "reason": " "}),
        ("credits.granted.v1", {**GRANT, "reference": " "}),
        ("credits.revoked.v1", {**GRANT, "reference": " "}),
        ("usage.reversed.v1", {**GRANT, "reason": " "}),
        ("usage.tool_run.v1", {"tool": "t", "runs": 0}),
        ("usage.tool_run.v1", {"tool": "t", "runs": 1_000_001}),
        ("usage.tool_run.v1", {"tool": "t", "runs": 1.5}),
        ("usage.tool_run.v1", {"tool": "t", "runs": None}),
        ("usage.tool_run.v1", {"tool": "t", "runs": True}),
        ("account.plan_changed.v1", {"plan": "\u212a"}),
        ("account.opened.v1", {"plan": "", "contacts": []}),
        ("account.opened.v1", {"plan": "x" * 65, "contacts": []}),
        ("account.plan_changed.v1", {"plan": "a\n"}),
        ("credits.granted.v1", {**GRANT, "resource": "model-credits"}),
        ("credits.granted.v1", {**GRANT, "resource": 1}),
        ("credits.granted.v1", {**GRANT, "reference": ""}),
        ("credits.revoked.v1", {**GRANT, "revokes": ""}),
        ("usage.reversed.v1", {**GRANT, "reverses": "Beleg\u00e4 5"}),
        ("usage.reversed.v1", {**GRANT, "reverses": None}),
        ("usage.reversed.v1", {**GRANT, "reverses_source": ""}),
    ],
)
def test_data(type: str, data: Any) -> None:
    assert reject(record_of(make_event(type, data))).reason is Reason.INVALID_DATA


def test_a_blank_name_has_its_own_words() -> None:
    rejected = reject(record_of(make_event(data={"credits": "1", "guardrail": "  "})))
    assert rejected.detail == "guardrail: is blank, and blank is no name"


@pytest.mark.parametrize("type", ["credits.granted.v1", "credits.revoked.v1", "usage.reversed.v1"])
@pytest.mark.parametrize("amount", ["1.5", 0.5])
def test_tool_runs_are_whole(type: str, amount: Any) -> None:
    rejected = reject(record_of(make_event(type, {**GRANT, "amount": amount})))
    assert (rejected.reason, rejected.detail) == (Reason.INVALID_AMOUNT, "amount: tool runs are whole")


def test_three_tenths_of_a_float_client_are_refused_in_their_own_words() -> None:
    rejected = reject(record_of(make_event(data={"credits": 0.1 * 3, "guardrail": "g"})))
    assert rejected.detail == "credits: has more than six decimals: round it, or send it as text"


def test_a_new_reversal_names_its_usage() -> None:
    """Those that were stored before may name none; the model reads them."""
    data = {name: value for name, value in GRANT.items() if name != "reverses"}
    rejected = reject(record_of(make_event("usage.reversed.v1", data)))
    assert (rejected.reason, rejected.detail[:9]) == (Reason.INVALID_DATA, "reverses:")
    assert UsageReversed.model_validate(data).reverses is None


def test_data_must_be_there() -> None:
    event = make_event()
    del event["data"]
    assert reject(make_record(to_bytes(event))).reason is Reason.INVALID_DATA
    assert reject(make_record(with_data("null"))).reason is Reason.INVALID_DATA


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/jsonx", 5, "application/json\nx"])
def test_data_must_be_json(media: Any) -> None:
    assert reject(record_of(make_event(datacontenttype=media))).reason is Reason.INVALID_DATA


def test_details_name_the_field() -> None:
    assert reject(make_record(with_data('{"credits":"-1","guardrail":"g"}'))).detail.startswith("credits: ")
