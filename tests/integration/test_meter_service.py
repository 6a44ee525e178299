"""From a producer to the event store, on real servers."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from meter.client import AccountsProducer, UsageProducer
from meter.runtime.clock import SystemClock
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.history_watch import HistoryWatch
from meter.runtime.kafka import HistoryLostError, Message, Producer
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.service import build_meter
from meter.settings import MeterSettings
from schemas.build import encode_event, new_event_id
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, REROUTED_HEADER, USAGE, partition_for
from tests.support import until
from tests.support.damaging import pass_triggers
from tests.support.meter import running_meter, set_up_meter, wait_until_stored
from tests.support.waiting import GIVEN_UP_S

CLOCK = SystemClock()
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


def inference(account_id: str, **changes: Any) -> bytes:
    fields: dict[str, Any] = {"event_id": new_event_id(), "time": CLOCK.now(), "source": "/tests"}
    data = {"credits": "0.25", "model": "large"}
    return encode_event("usage.model_inference.v1", account_id, data, **(fields | changes))


def message(account_id: str, value: bytes | None, topic: str = USAGE, **changes: Any) -> Message:
    return Message(topic, account_id, value, headers=STRUCTURED)._replace(**changes)


async def test_events_of_the_client_are_stored(meter_settings: MeterSettings, pool: Pool) -> None:
    async with running_meter(meter_settings):
        async with AccountsProducer(meter_settings, source="/tests/billing") as accounts:
            await accounts.opened("acc-1", plan="free", contacts=["owner@example.com"])
            await accounts.granted(
                "acc-1", resource=Resource.TOOL_RUNS, amount=500, reason="top_up", reference="ticket-7"
            )
            await accounts.plan_changed("acc-1", plan="pro")
            await accounts.contacts_changed("acc-1", contacts=[])
        async with UsageProducer(meter_settings, source="/tests/gateway") as usage:
            used = await usage.model_inference("acc-1", credits=Decimal("1.500000"), model="large", input_tokens=7)
            await usage.guardrail("acc-1", credits="0.000001", guardrail="pii")
            await usage.custom_script("acc-1", credits=2, script="nightly")
            await usage.tool_run("acc-1", tool="search", runs=3, status="ok")
        async with AccountsProducer(meter_settings, source="/tests/billing") as accounts:
            await accounts.reversed(
                "acc-1", resource=Resource.MODEL_CREDITS, amount="0.5", reason="outage", reverses=used
            )
        await wait_until_stored(pool, meter_settings)
    rows = await pool.fetch("SELECT type, resource, amount::text, name FROM meter.event_log ORDER BY position")
    assert {tuple(row) for row in rows} == {
        ("account.opened.v1", None, "0.000000", "free"),
        ("credits.granted.v1", "model_credits", "75.000000", "free_allowance"),
        ("credits.granted.v1", "tool_runs", "10000.000000", "free_allowance"),
        ("credits.granted.v1", "tool_runs", "500.000000", "top_up"),
        ("usage.reversed.v1", "model_credits", "0.500000", "outage"),
        ("account.plan_changed.v1", None, "0.000000", "pro"),
        ("account.contacts_changed.v1", None, "0.000000", ""),
        ("usage.model_inference.v1", "model_credits", "1.500000", "large"),
        ("usage.guardrail.v1", "model_credits", "0.000001", "pii"),
        ("usage.custom_script.v1", "model_credits", "2.000000", "nightly"),
        ("usage.tool_run.v1", "tool_runs", "3.000000", "search"),
    }
    assert len(rows) == 11


async def test_free_amounts_are_settings(values: dict[str, Any], pool: Pool) -> None:
    await set_up_meter(values)
    settings = MeterSettings(**values, free_model_credits="12.5", free_tool_runs="0")
    async with running_meter(settings):
        async with AccountsProducer(settings, source="/tests") as accounts:
            await accounts.opened("acc-1", plan="free", contacts=[])
        await wait_until_stored(pool, settings)
    rows = await pool.fetch("SELECT resource, amount FROM meter.event_log WHERE type = 'credits.granted.v1'")
    assert [tuple(row) for row in rows] == [("model_credits", Decimal("12.500000"))]


def bad_records() -> dict[str, tuple[str, Message]]:
    """By name: the reason that is recorded, and the record."""
    account = "acc-1"
    deep = b'{"a":' * 200 + b"1" + b"}" * 200
    event = json.loads(inference(account))

    def changed(**fields: object) -> Message:
        return message(account, json.dumps(event | {"id": new_event_id()} | fields).encode())

    def with_data(text: str) -> Message:
        value = json.dumps(event | {"id": new_event_id(), "data": "DATA"}).replace('"DATA"', text)
        return message(account, value.encode())

    other = (partition_for(account.encode(), 3) + 1) % 3
    return {
        "nothing": ("empty", message(account, None)),
        "no bytes": ("empty", message(account, b"")),
        "no JSON": ("not_json", message(account, b"\xff\xfe{")),
        "half an object": ("not_json", message(account, inference(account)[:-2])),
        "not an event": ("not_cloudevents", message(account, b'{"credits": 1}')),
        "an array": ("not_cloudevents", message(account, b"[1]")),
        "NaN": ("not_json", with_data('{"credits":NaN,"model":"m"}')),
        "a huge exponent": ("invalid_amount", with_data('{"credits":1e400,"model":"m"}')),
        "a seventh decimal": ("invalid_amount", with_data('{"credits":"0.1234567","model":"m"}')),
        "a negative amount": ("invalid_amount", with_data('{"credits":"-1","model":"m"}')),
        "too much": ("invalid_amount", with_data('{"credits":"99999999999","model":"m"}')),
        "no amount": ("invalid_data", with_data('{"model":"m"}')),
        "a repeated key": ("duplicate_key", with_data('{"credits":"1","credits":"2","model":"m"}')),
        "NUL": ("invalid_text", with_data('{"credits":"1","model":"a\\u0000b"}')),
        "a lone surrogate": ("invalid_text", with_data('{"credits":"1","model":"a\\ud800b"}')),
        "deep nesting": ("too_deep", with_data('{"credits":"1","model":"m","x":' + deep.decode() + "}")),
        "no id": ("invalid_id", changed(id="order ä")),
        "an unknown type": ("unknown_type", changed(type="usage.teleport.v1")),
        "a grant on the usage topic": ("wrong_topic", changed(type="credits.granted.v1")),
        "another subject": ("key_mismatch", changed(subject="acc-2")),
        "no subject": ("invalid_subject", changed(subject="")),
        "tomorrow": ("time_ahead", changed(time=(datetime.now(UTC) + timedelta(days=1)).isoformat())),
        "no time": ("invalid_time", changed(time="yesterday")),
        "another partition again": (
            "wrong_partition",
            message(account, inference(account), partition=other, headers=[(REROUTED_HEADER, b"0/1")]),
        ),
    }


async def test_each_bad_record_is_rejected_and_the_good_ones_beside_it_are_stored(
    meter_settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    cases = bad_records()
    messages: list[Message] = []
    for _, bad in cases.values():
        messages += [bad, message("acc-1", inference("acc-1"))]
    await producer.publish(messages)
    async with running_meter(meter_settings) as health:
        await wait_until_stored(pool, meter_settings)
        assert await pool.fetchval("SELECT count(*) FROM meter.events") == len(cases)
        await producer.publish([message("acc-1", inference("acc-1"))])  # and it goes on
        await wait_until_stored(pool, meter_settings)
    stored = await pool.fetch("SELECT reason, value FROM meter.rejections")
    # Records of several partitions have no fixed order: compare as a multiset.
    key = lambda pair: (pair[0], pair[1] or b"")  # noqa: E731
    assert sorted(((r["reason"], r["value"]) for r in stored), key=key) == sorted(
        ((reason, bad.value) for reason, bad in cases.values()), key=key
    )
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == len(cases) + 1
    rejected = health.metrics.registry.get_sample_value("metering_records_total", {"outcome": "rejected"})
    assert rejected == len(cases)


async def test_bad_accounts_events_are_rejected(meter_settings: MeterSettings, producer: Producer, pool: Pool) -> None:
    def account_event(kind: str, data: Mapping[str, Any]) -> Message:
        value = encode_event(kind, "acc-1", data, event_id=new_event_id(), time=CLOCK.now(), source="/tests")
        return message("acc-1", value, topic=ACCOUNTS)

    grant = {"resource": "model_credits", "amount": "1", "reason": "r", "reference": "r"}
    cases = {
        "wrong_topic": message("acc-1", inference("acc-1"), topic=ACCOUNTS),
        "invalid_contacts": account_event("account.contacts_changed.v1", {"contacts": ["a@b.example,c@d.example"]}),
        "invalid_data": account_event("account.opened.v1", {"plan": "NO SPACES", "contacts": []}),
        "invalid_amount": account_event("credits.granted.v1", grant | {"amount": "0"}),
    }
    await producer.publish([*cases.values(), account_event("credits.granted.v1", grant)])
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    assert {r["reason"] for r in await pool.fetch("SELECT reason FROM meter.rejections")} == set(cases)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 1


async def test_the_same_event_sent_often_counts_once(
    meter_settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    value = inference("acc-1")
    async with running_meter(meter_settings):
        for _ in range(3):
            await producer.publish([message("acc-1", value)] * 4)
            await wait_until_stored(pool, meter_settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 1
    assert await pool.fetchval("SELECT count(*) FROM meter.duplicates") == 11


async def test_a_restart_continues_where_the_store_stands(
    meter_settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    for batch in range(3):
        await producer.publish([message(f"acc-{i}", inference(f"acc-{i}")) for i in range(20)])
        async with running_meter(meter_settings):
            await wait_until_stored(pool, meter_settings)
        assert await pool.fetchval("SELECT count(*) FROM meter.events") == 20 * (batch + 1)
    assert await pool.fetchval("SELECT count(*) FROM meter.duplicates") == 0


async def test_a_store_behind_the_offsets_committed_to_kafka_went_back_in_time(
    values: dict[str, Any], meter_settings: MeterSettings, producer: Producer, pool: Pool, dsn: str
) -> None:
    """They are committed after the database alone, so it held more once. Nothing is read until somebody says so."""
    await producer.publish([message("acc-1", inference("acc-1")) for _ in range(5)])
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        await connection.execute("DELETE FROM meter.events; DELETE FROM meter.batches")
    await pool.execute("UPDATE meter.shards SET usage_offset = 0, next_position = 1, next_batch = 1")
    with pytest.raises(ExceptionGroup) as raised:
        async with running_meter(meter_settings):
            await wait_until_stored(pool, meter_settings)
    assert raised.group_contains(HistoryLostError, match="meter recover")
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 0


async def test_a_store_that_goes_back_while_nothing_comes_is_refused_too(
    meter_settings: MeterSettings, producer: Producer, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meter.service.HistoryWatch", partial(HistoryWatch, every_s=0.2))
    await producer.publish([message("acc-1", inference("acc-1")) for _ in range(5)])
    with pytest.raises(ExceptionGroup) as raised:
        async with running_meter(meter_settings):
            await wait_until_stored(pool, meter_settings)
            await pool.execute("UPDATE meter.shards SET usage_offset = greatest(usage_offset - 1, 0)")
            await until(lambda: False)
    assert raised.group_contains(HistoryLostError, match="was stored up to 5.*meter recover")


async def test_batches_are_bounded(values: dict[str, Any], pool: Pool) -> None:
    await set_up_meter(values)
    settings = MeterSettings(**(values | {"batch_events": 10}))
    async with Producer(settings) as producer:
        await producer.publish([message("acc-1", inference("acc-1")) for _ in range(95)])
    async with running_meter(settings):
        await wait_until_stored(pool, settings)
    sizes = [r[0] for r in await pool.fetch("SELECT stored FROM meter.batches WHERE stored > 0")]
    assert sum(sizes) == 95 and max(sizes) <= 10


async def test_two_meters_share_the_shards_and_store_each_event_once(
    meter_settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    accounts = [f"acc-{i}" for i in range(30)]
    async with running_meter(meter_settings) as first, running_meter(meter_settings) as second:

        def shared() -> bool:
            counts = [h.metrics.registry.get_sample_value("metering_shards") for h in (first, second)]
            return sum(filter(None, counts)) == 3 and all(counts)

        await until(shared, timeout_s=40, message="the shards are not shared")
        for _ in range(5):
            await producer.publish([message(a, inference(a)) for a in accounts])
        await wait_until_stored(pool, meter_settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 150
    assert await pool.fetchval("SELECT count(DISTINCT event_key) FROM meter.events") == 150


async def test_readers_are_woken(meter_settings: MeterSettings, producer: Producer, pool: Pool) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with pool.acquire() as connection:
        hear = lambda *args: heard.put_nowait(args[3])  # noqa: E731
        await connection.add_listener("meter_events", hear)
        async with running_meter(meter_settings):
            await producer.publish([message("acc-1", inference("acc-1"))])
            async with asyncio.timeout(GIVEN_UP_S):
                assert await heard.get() == str(partition_for(b"acc-1", 3))
        await connection.remove_listener("meter_events", hear)


async def test_a_database_that_is_not_set_up_is_waited_for(empty_dsn: str, values: dict[str, Any]) -> None:
    settings = MeterSettings(**(values | {"postgres_dsn": empty_dsn}))
    with pytest.raises(DependencyUnreachableError, match="meter setup"):
        async with build_meter(settings)(Health()):
            pass
