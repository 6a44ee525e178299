import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.amounts import Micro
from schemas.build import Decoded, decode_event, encode_event, new_event_id
from schemas.events import CreditsGranted, EventData, ModelInference
from schemas.output_types import OUTPUT_TYPES
from schemas.outputs import BalanceChanged, BannerRaised, EmailEnded
from schemas.reasons import InvalidEventError, Reason
from schemas.resources import Resource
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, EXAMPLES, NOW, accept, make_event, make_record, to_bytes

COMMON: dict[str, Any] = {"account_id": ACCOUNT, "resource": "tool_runs", "epoch": 1, "shard": 0, "position": 9}
EMAIL = {"account_id": ACCOUNT, "email_id": EVENT_ID, "contact_id": EVENT_ID, "shard": 0}
LINE = {"resource": "tool_runs", "epoch": 1, "threshold": 50, "position": 9}
BANNER = {**COMMON, "threshold": 80, "kind": "low", "removable": True, "text": "80 % of your tool runs are used."}
BALANCE = {
    **COMMON,
    "allocation": "75",
    "consumed": "76.5",
    "remaining": "-1.5",
    "percent": 102,
    "status": "exhausted",
    "allowed": False,
    "as_of": "2026-03-01T12:00:00.000000Z",
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "balance.changed.v1": BALANCE,
    "account.changed.v1": {
        "account_id": ACCOUNT,
        "plan": "free",
        "display_name": "Ann",
        "contacts": ["ann@example.com"],
        "state": "closed",
        "shard": 0,
        "position": 1,
    },
    "account.changed.v2": {
        "account_id": ACCOUNT,
        "plan": "free",
        "contact_ids": [EVENT_ID],
        "state": "closed",
        "time_zone": "Europe/Berlin",
        "shard": 0,
        "position": 1,
    },
    "banner.raised.v1": BANNER,
    "banner.changed.v1": BANNER,
    "banner.cleared.v1": COMMON,
    "email.queued.v2": EMAIL,
    "email.ended.v2": {**EMAIL, "outcome": "given_up", "lines": [LINE], "reason": "550 mailbox full"},
    "log.anchored.v1": {
        "shard": 0,
        "batch": 3,
        "position": 0,
        "hash": "0f" * 32,
        "recorded_at": "2026-03-01T12:00:00.000000Z",
    },
    "forgotten.listed.v1": {"account_id": ACCOUNT, "shard": 0, "forgotten_at": "2026-03-01T12:00:00.000000Z"},
}


def encode(type: str, data: Any, **more: Any) -> bytes:
    return encode_event(
        type, ACCOUNT, data, **{"event_id": EVENT_ID, "time": NOW, "source": "/credit-meter/test", **more}
    )


def test_every_output_type_has_an_example() -> None:
    assert OUTPUTS.keys() == OUTPUT_TYPES.keys()


@pytest.mark.parametrize("type", OUTPUTS)
def test_outputs_are_decoded_as_they_were_encoded(type: str) -> None:
    model = OUTPUT_TYPES[type].model.model_validate(OUTPUTS[type])
    envelope, data = decode_event(encode(type, model))
    assert data == model
    assert (envelope.id, envelope.type, envelope.account_id) == (EVENT_ID, type, ACCOUNT)
    assert (envelope.time, envelope.source, envelope.extensions) == (NOW, "/credit-meter/test", None)
    # What an event of before does not say: it is of the first generation, and nobody was forgotten.
    of_before = {"generation": 1, "forgotten": False}
    told = {name: value for name, value in of_before.items() if name in model.__class__.model_fields}
    assert json.loads(encode(type, model))["data"] == told | OUTPUTS[type]


@pytest.mark.parametrize("type", EXAMPLES)
def test_inputs_can_be_decoded_too(type: str) -> None:
    decoded = decode_event(to_bytes(make_event(type)))
    assert isinstance(decoded, Decoded)
    assert isinstance(decoded.data, EventData)


def test_amounts_are_micro_units_in_python_and_text_in_json() -> None:
    balance = decode_event(encode("balance.changed.v1", BALANCE)).data
    assert isinstance(balance, BalanceChanged)
    assert (balance.allocation, balance.consumed, balance.remaining) == (75_000_000, 76_500_000, -1_500_000)
    assert balance.resource is Resource.TOOL_RUNS
    written = BalanceChanged(
        **{**BALANCE, "allocation": Micro(75_000_000), "consumed": Micro(76_500_000), "remaining": Micro(-1_500_000)}
    )
    assert written == balance


@pytest.mark.parametrize("amount", [75_000_000, 75.0, Decimal(75), None])
def test_plain_numbers_are_no_totals(amount: Any) -> None:
    """They could mean either unit."""
    with pytest.raises(ValueError, match="neither decimal text nor Micro"):
        BalanceChanged(**{**BALANCE, "allocation": amount})


@pytest.mark.parametrize("credits", ["0.5", Decimal("0.5"), 0.5, Micro(500_000)])
def test_credits_may_be_given_in_many_ways(credits: Any) -> None:
    model = ModelInference(credits=credits, model="m")
    assert model.credits == 500_000
    assert ModelInference.model_validate(model.model_dump()) == model
    assert ModelInference.model_validate_json(model.model_dump_json()) == model
    assert json.loads(encode("usage.model_inference.v1", model))["data"] == {"credits": "0.5", "model": "m"}


@pytest.mark.parametrize(
    "credits", [float("nan"), float("inf"), Decimal("NaN"), Decimal("1e1000000"), 10**400, -1, True, Micro(-1)]
)
def test_credits_that_are_no_amount_are_refused(credits: Any) -> None:
    with pytest.raises(ValueError):
        ModelInference(credits=credits, model="m")


def test_data_given_as_a_dict_is_written_as_it_is_meant() -> None:
    data = {"resource": Resource.TOOL_RUNS, "amount": Micro(1_500_000), "reason": "r", "reference": Decimal("1.50")}
    written = json.loads(encode("credits.granted.v1", data))["data"]
    assert written == {"resource": "tool_runs", "amount": "1.5", "reason": "r", "reference": "1.50"}
    assert CreditsGranted.model_validate(written).amount == 1_500_000


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("id", "give it as event_id"),
        ("source", "give it as source"),
        ("type", "give it as type"),
        ("subject", "give it as account_id"),
        ("time", "give it as time"),
        ("data", "give it as data"),
        ("data_base64", "give it as data"),
        ("specversion", "it is always the same"),
        ("datacontenttype", "it is always the same"),
    ],
)
def test_an_extension_takes_no_place_of_what_the_event_says(name: str, instead: str) -> None:
    with pytest.raises(InvalidEventError, match=f"extensions: {name} belongs to .* leave it out there, {instead}"):
        encode("usage.tool_run.v1", {"tool": "x"}, extensions={"tenant": "a", name: "b"})


def test_bytes_are_canonical_and_their_fields_in_order() -> None:
    value = encode("usage.tool_run.v1", {"tool": "t"}, extensions={"traceparent": "00-ab"})
    assert value == (
        b'{"specversion":"1.0","id":"019b76da-a800-79ab-aa7b-5bf55eb561a4","source":"/credit-meter/test",'
        b'"type":"usage.tool_run.v1","subject":"acct-1","time":"2026-03-01T12:00:00.000000Z",'
        b'"datacontenttype":"application/json","traceparent":"00-ab","data":{"tool":"t"}}'
    )
    assert accept(make_record(value)).extensions == '{"traceparent":"00-ab"}'


def test_times_are_written_in_utc_and_never_naive() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    assert encode("usage.tool_run.v1", {"tool": "t"}, time=east) == encode("usage.tool_run.v1", {"tool": "t"})
    with pytest.raises(ValueError, match="without offset"):
        encode("usage.tool_run.v1", {"tool": "t"}, time=datetime(2026, 3, 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"tool": "\ud800"}, Reason.INVALID_TEXT),
        ({"tool": object()}, Reason.INVALID_DATA),
        ({"tool": Decimal("NaN")}, Reason.INVALID_DATA),
        ({5: "t"}, Reason.INVALID_DATA),
    ],
)
def test_what_json_cannot_hold_is_refused(data: Any, reason: Reason) -> None:
    """Only text is told that it has characters to remove."""
    with pytest.raises(InvalidEventError) as caught:
        encode("usage.tool_run.v1", data)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"\xff", Reason.NOT_JSON),
        (b"[]", Reason.NOT_CLOUDEVENTS),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (to_bytes(make_event(type="x.v1")), Reason.UNKNOWN_TYPE),
        (encode("balance.changed.v1", {**BALANCE, "status": "fine"}), Reason.INVALID_DATA),
        (encode("balance.changed.v1", {**BALANCE, "allocation": "1e3"}), Reason.INVALID_AMOUNT),
        (encode("balance.changed.v1", {**BALANCE, "as_of": "2026-03-01T12:00:00"}), Reason.INVALID_DATA),
        (encode("balance.changed.v1", {**BALANCE, "position": 0}), Reason.INVALID_DATA),
        (encode("balance.changed.v1", BALANCE)[:-1] + b',"id":"x"}', Reason.DUPLICATE_KEY),
    ],
)
def test_decoding_is_strict(value: bytes, reason: Reason) -> None:
    with pytest.raises(InvalidEventError) as caught:
        decode_event(value)
    assert caught.value.reason is reason


def test_unknown_fields_of_a_later_producer_are_kept() -> None:
    data = decode_event(encode("banner.raised.v1", {**BANNER, "colour": "orange"})).data
    assert isinstance(data, BannerRaised)
    assert data.model_dump()["colour"] == "orange"


def test_models_cannot_be_changed() -> None:
    email = EmailEnded.model_validate(OUTPUTS["email.ended.v2"])
    with pytest.raises(ValueError, match="frozen"):
        email.outcome = "accepted"  # type: ignore[misc]


def test_new_ids_are_uuids_of_version_7_that_ascend() -> None:
    before = datetime.now(UTC)
    ids = [new_event_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [text[:16] for text in ids] == sorted(text[:16] for text in ids)
    for text in (ids[0], ids[-1]):
        made = UUID(text)
        assert (made.version, made.variant, str(made)) == (7, "specified in RFC 4122", text)
        assert abs(made.int >> 80) - int(before.timestamp() * 1000) < 60_000
