"""The producers' judgement, and delivery on a Kafka that does as it is told."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from meter.client import AccountsProducer, DeliveryError, InvalidEventError, UsageProducer
from meter.runtime.kafka import Landed, Message
from meter.runtime.kafka.producer import OnLanded
from meter.settings import MeterSettings
from schemas.build import decode_event
from schemas.reasons import Reason
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE
from tests.unit.meter.scripted_kafka import UNREACHABLE, ScriptedKafka, settings


async def test_what_is_flushed_has_arrived_in_order(kafka: ScriptedKafka) -> None:
    async with UsageProducer(settings(), source="/tests") as usage:
        ids = [await usage.tool_run("acc-1", tool="search", runs=n + 1) for n in range(50)]
        await usage.flush()
        assert [decode_event(message.value or b"").envelope.id for message in kafka.arrived] == ids
    assert {(message.topic, message.key) for message in kafka.arrived} == {(USAGE, "acc-1")}


async def test_leaving_the_block_flushes(kafka: ScriptedKafka) -> None:
    async with AccountsProducer(settings(), source="/tests") as accounts:
        await accounts.opened("acc-1", plan="free", contacts=["owner@example.com"])
    assert [message.topic for message in kafka.arrived] == [ACCOUNTS]


async def test_without_tables_of_international_domains_the_same_is_sent(
    kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's distribution leaves them out: no event is refused for a contact."""
    contacts = ["ann@b\u00fccher.example", "bob@\u2603.example", "carl@example.com"]
    own: dict[str, Any] = {"event_id": "contacts-1", "time": datetime.now(UTC)}
    for tables in (True, False):
        if not tables:
            monkeypatch.setitem(sys.modules, "idna", None)
        async with AccountsProducer(settings(), source="/tests") as accounts:
            await accounts.opened("acc-1", plan="free", contacts=contacts, **own)
            await accounts.contacts_changed("acc-1", contacts=contacts, **own)
    first, second, *without = [message.value for message in kafka.arrived]
    assert without == [first, second] and json.loads(first or b"")["data"]["contacts"] == contacts


async def test_a_passing_fault_is_outlived(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        if number <= 3:
            raise UNREACHABLE

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests") as usage:
        await usage.tool_run("acc-1", tool="search")
    assert len(kafka.arrived) == 1 and kafka.publishes == 4


async def test_what_never_arrives_is_named(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        raise UNREACHABLE

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01) as usage:
        ids = [await usage.tool_run("acc-1", tool="search") for _ in range(3)]
        with pytest.raises(DeliveryError) as caught:
            await usage.flush()
        assert list(caught.value.event_ids) == ids
        await usage.flush()  # told once


async def test_one_that_kafka_refuses_for_good_takes_no_other_along(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        if any(message.key == "acc-2" for message in messages):
            raise ValueError("too large")

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests") as usage:
        for account in ("acc-1", "acc-2", "acc-3"):
            await usage.tool_run(account, tool="search", event_id="0193a1f2-7c00-7000-8000-000000000001")
        with pytest.raises(DeliveryError, match="1 event was"):
            await usage.flush()
    assert [message.key for message in kafka.arrived] == ["acc-1", "acc-3"]


async def test_a_full_buffer_makes_senders_wait(kafka: ScriptedKafka) -> None:
    gate = asyncio.Event()
    arrive = kafka.publish_each

    async def hold(messages: Sequence[Message], on_landed: OnLanded | None = None) -> list[Landed | Exception]:
        await gate.wait()
        return await arrive(messages, on_landed)

    kafka.publish_each = hold  # type: ignore[method-assign]
    async with UsageProducer(settings(), source="/tests", max_pending=2) as usage:
        for _ in range(2):
            await usage.tool_run("acc-1", tool="search")
        third = asyncio.create_task(usage.tool_run("acc-1", tool="search"))
        done, _ = await asyncio.wait({third}, timeout=0.05)
        assert not done
        gate.set()
        await third
    assert len(kafka.arrived) == 3


async def test_an_error_in_the_block_is_not_covered_up(kafka: ScriptedKafka) -> None:
    with pytest.raises(LookupError):
        async with UsageProducer(settings(), source="/tests"):
            raise LookupError


async def test_outside_its_block_it_cannot_be_used(kafka: ScriptedKafka) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await UsageProducer(settings(), source="/tests").tool_run("acc-1", tool="search")


REFUSED: dict[str, tuple[Reason, dict[str, Any]]] = {
    "seven decimals": (Reason.INVALID_AMOUNT, {"credits": "0.1234567"}),
    "negative": (Reason.INVALID_AMOUNT, {"credits": Decimal("-1")}),
    "not a number": (Reason.INVALID_AMOUNT, {"credits": Decimal("NaN")}),
    "infinite": (Reason.INVALID_AMOUNT, {"credits": Decimal("Infinity")}),
    "huge": (Reason.INVALID_AMOUNT, {"credits": Decimal("1e30")}),
    "more than one event has": (Reason.AMOUNT_ABOVE_LIMIT, {"credits": 10_001}),
    "no account": (Reason.INVALID_SUBJECT, {"account_id": ""}),
    "a space in the account": (Reason.INVALID_SUBJECT, {"account_id": "a b"}),
    "NUL": (Reason.INVALID_TEXT, {"model": "a\x00"}),
    "a surrogate": (Reason.INVALID_TEXT, {"model": "\ud800"}),
    "no id": (Reason.INVALID_ID, {"event_id": "é"}),
    "an empty id": (Reason.INVALID_ID, {"event_id": ""}),
    "a million digits": (Reason.INVALID_AMOUNT, {"credits": Decimal("1e999999")}),
    "a million decimals": (Reason.INVALID_AMOUNT, {"credits": Decimal("1e-999999")}),
    "more than any number": (Reason.INVALID_AMOUNT, {"credits": Decimal("1e999999999999999999")}),
    "a whole number of many digits": (Reason.INVALID_AMOUNT, {"credits": 10**5000}),
    "a number as account": (Reason.INVALID_SUBJECT, {"account_id": 7}),
    "a number as id": (Reason.INVALID_ID, {"event_id": 7}),
    "text as time": (Reason.INVALID_TIME, {"time": "2026-01-31T12:00:00Z"}),
    "a time without offset": (Reason.INVALID_TIME, {"time": datetime(2026, 1, 31)}),
    "a time before the first": (Reason.INVALID_TIME, {"time": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))}),
    "what JSON does not have": (Reason.INVALID_DATA, {"model": {"a", "b"}}),
}


@pytest.mark.parametrize(("reason", "changes"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_the_meter_would_reject_is_not_sent(
    kafka: ScriptedKafka, reason: Reason, changes: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {"account_id": "acc-1", "credits": "1", "model": "large"}
    async with UsageProducer(settings(), source="/tests") as usage:
        with pytest.raises(InvalidEventError) as caught:
            await usage.model_inference(**(arguments | changes))
    assert caught.value.reason is reason and reason.advice in str(caught.value)
    assert kafka.arrived == []


async def test_a_producer_of_an_installation_with_another_limit_takes_it(kafka: ScriptedKafka) -> None:
    limits = MeterSettings(max_usage_credits="20000").limits()
    async with UsageProducer(settings(), source="/tests", limits=limits) as usage:
        await usage.model_inference("acc-1", credits=20_000, model="large")
        with pytest.raises(InvalidEventError) as caught:
            await usage.model_inference("acc-1", credits=20_001, model="large")
    assert caught.value.reason is Reason.AMOUNT_ABOVE_LIMIT
    assert len(kafka.arrived) == 1


async def test_a_float_is_no_amount(kafka: ScriptedKafka) -> None:
    async with UsageProducer(settings(), source="/tests") as usage:
        with pytest.raises(TypeError, match=r'text, not float: write "0\.25"'):
            await usage.guardrail("acc-1", credits=0.1, guardrail="pii")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "reason", "named"),
    [
        ((7, "acc-1", {}), Reason.UNKNOWN_TYPE, "7"),
        ((["usage.tool_run.v1"], "acc-1", {}), Reason.UNKNOWN_TYPE, "usage.tool_run.v1"),
        (("usage.tool_run.v1", None, {}), Reason.INVALID_SUBJECT, "account_id"),
        (("usage.tool_run.v1", "acc-1", None), Reason.INVALID_DATA, "data"),
        (("usage.tool_run.v1", "acc-1", [("tool", "x")]), Reason.INVALID_DATA, "data"),
        (("usage.tool_run.v1", "acc-1", {7: "x"}), Reason.INVALID_DATA, "str"),
    ],
)
async def test_an_argument_of_a_wrong_type_is_told_as_any_other_fault(
    kafka: ScriptedKafka, arguments: tuple[Any, Any, Any], reason: Reason, named: str
) -> None:
    async with UsageProducer(settings(), source="/tests") as usage:
        with pytest.raises(InvalidEventError) as caught:
            await usage.send(*arguments)
        assert caught.value.reason is reason and named in caught.value.detail
        with pytest.raises(InvalidEventError, match="extensions"):
            await usage.send("usage.tool_run.v1", "acc-1", {"tool": "x"}, extensions=7)  # type: ignore[arg-type]
        with pytest.raises(InvalidEventError, match="give it as event_id"):
            await usage.send("usage.tool_run.v1", "acc-1", {"tool": "x"}, extensions={"id": "7"})
        with pytest.raises(InvalidEventError, match="deployed_at"):
            await usage.item_changed("acc-1", kind="model", id="m", name="m", status="active", deployed_at="x")  # type: ignore[arg-type]
    assert kafka.arrived == []


async def test_what_is_no_resource_is_told_with_those_there_are(kafka: ScriptedKafka) -> None:
    async with AccountsProducer(settings(), source="/tests") as accounts:
        with pytest.raises(InvalidEventError, match="resource: 'gold' is not model_credits or tool_runs"):
            await accounts.granted("acc-1", resource="gold", amount=1, reason="r", reference="r")  # type: ignore[arg-type]


@pytest.mark.parametrize("contacts", ["owner@example.com", b"owner@example.com", None, 7])
async def test_one_address_is_not_taken_letter_by_letter(kafka: ScriptedKafka, contacts: Any) -> None:
    async with AccountsProducer(settings(), source="/tests") as accounts:
        with pytest.raises(InvalidEventError, match=r'write \["name@example.com"\]') as caught:
            await accounts.contacts_changed("acc-1", contacts=contacts)
        with pytest.raises(InvalidEventError, match="contacts"):
            await accounts.opened("acc-1", plan="free", contacts=contacts)
    assert caught.value.reason is Reason.INVALID_CONTACTS and kafka.arrived == []


@pytest.mark.parametrize(
    ("contacts", "reason"),
    [(["a@b.example,c@d.example"], Reason.INVALID_CONTACTS), (["nobody"], Reason.INVALID_CONTACTS)],
)
async def test_contacts_are_checked(kafka: ScriptedKafka, contacts: list[str], reason: Reason) -> None:
    async with AccountsProducer(settings(), source="/tests") as accounts:
        with pytest.raises(InvalidEventError) as caught:
            await accounts.contacts_changed("acc-1", contacts=contacts)
    assert caught.value.reason is reason


async def test_usage_cannot_grant(kafka: ScriptedKafka) -> None:
    """The accounts topic is for billing and support; a usage producer has no way to it."""
    data = {"resource": Resource.MODEL_CREDITS, "amount": "1", "reason": "r", "reference": "r"}
    async with UsageProducer(settings(), source="/tests") as usage:
        with pytest.raises(InvalidEventError) as caught:
            await usage.send("credits.granted.v1", "acc-1", data)
    assert caught.value.reason is Reason.WRONG_TOPIC and kafka.arrived == []


async def test_an_unknown_type_is_refused(kafka: ScriptedKafka) -> None:
    async with UsageProducer(settings(), source="/tests") as usage:
        with pytest.raises(InvalidEventError) as caught:
            await usage.send("usage.teleport.v1", "acc-1", {})
    assert caught.value.reason is Reason.UNKNOWN_TYPE


@pytest.mark.parametrize(
    ("amount", "said"),
    {
        "0.1234567": "has more than six decimals: round it",
        "10000000.5": "is more than 10000000",
        "-1": "is negative",
        "1,5": "is not a decimal number like 0.25",
    }.items(),
)
async def test_an_amount_that_is_refused_is_told_its_own_fault(kafka: ScriptedKafka, amount: str, said: str) -> None:
    """Who sent text is not told to send text."""
    async with AccountsProducer(settings(), source="/tests") as accounts:
        with pytest.raises(InvalidEventError, match=said) as caught:
            await accounts.granted(
                "acc-1", resource=Resource.MODEL_CREDITS, amount=amount, reason="test", reference="test-1"
            )
    assert caught.value.reason is Reason.INVALID_AMOUNT and "text" not in str(caught.value)
