"""Any CloudEvents producer in any language: the CNCF SDK in both modes, librdkafka with every codec."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import cloudevents.core.bindings.kafka as binding
import confluent_kafka
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.build import encode_event, new_event_id
from schemas.topics import USAGE
from tests.support.meter import running_meter, wait_until_stored

ACCOUNTS = [f"acc-{i}" for i in range(12)]


def produce(settings: MeterSettings, records: list[dict[str, Any]], options: Mapping[str, Any] | None = None) -> None:
    """Send with librdkafka, as a service in another language would, and wait for all acknowledgements."""
    failures: list[object] = []
    config = {"bootstrap.servers": settings.kafka_bootstrap, "partitioner": "murmur2_random", "linger.ms": 50}
    producer = confluent_kafka.Producer(config | dict(options or {}))
    for record in records:
        producer.produce(
            settings.topic(USAGE), on_delivery=lambda error, _: failures.append(error) if error else None, **record
        )
    assert producer.flush(30) == 0
    assert failures == []


def cloud_event(account_id: str, data: object) -> CloudEvent:
    attributes = {
        "id": new_event_id(),
        "source": "/example/agent",
        "type": "usage.model_inference.v1",
        "specversion": "1.0",
        "subject": account_id,
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    return CloudEvent(attributes, data)


def to_record(message: Any, account_id: str) -> dict[str, Any]:
    return {"key": account_id.encode(), "value": message.value, "headers": list(message.headers.items())}


@pytest.mark.parametrize("write", [binding.to_structured, binding.to_binary], ids=["structured", "binary"])
@pytest.mark.parametrize("credits", ["1.25", 1.25], ids=["text", "number"])
async def test_the_cloudevents_sdk_is_read(
    meter_settings: MeterSettings, pool: Pool, write: Callable[..., Any], credits: object
) -> None:
    records = []
    for account in ACCOUNTS:
        event = cloud_event(account, {"credits": credits, "model": "modèle", "deployment": "eu"})
        records.append(to_record(write(event, JSONFormat()), account))
    produce(meter_settings, records)
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    assert [tuple(r) for r in await pool.fetch("SELECT reason, detail FROM meter.rejections")] == []
    rows = await pool.fetch("SELECT account_id, amount, name, extensions->>'traceparent' FROM meter.events")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert sorted(map(tuple, rows)) == sorted((account, 1_250_000, "modèle", trace) for account in ACCOUNTS)


def plain_records() -> list[dict[str, Any]]:
    def value(account: str) -> bytes:
        data = {"tool": "search", "runs": 2, "status": "x" * 200}
        return encode_event(
            "usage.tool_run.v1", account, data, event_id=new_event_id(), time=datetime.now(UTC), source="/example"
        )

    headers = [("content-type", b"application/cloudevents+json")]
    return [{"key": a.encode(), "value": value(a), "headers": headers} for a in ACCOUNTS for _ in range(20)]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_of_librdkafka_is_read(meter_settings: MeterSettings, pool: Pool, codec: str) -> None:
    produce(meter_settings, plain_records(), {"compression.type": codec})
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 240
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0


@pytest.mark.needs_kafka("transactions")
async def test_aborted_transactions_are_not_stored_and_their_offsets_are_gaps(
    meter_settings: MeterSettings, pool: Pool
) -> None:
    config = {
        "bootstrap.servers": meter_settings.kafka_bootstrap,
        "partitioner": "murmur2_random",
        "transactional.id": meter_settings.topic_prefix,
    }
    producer = confluent_kafka.Producer(config)
    producer.init_transactions(30)
    records = plain_records()
    for start, end in (
        (0, producer.commit_transaction),
        (60, producer.abort_transaction),
        (120, producer.commit_transaction),
    ):
        producer.begin_transaction()
        for record in records[start : start + 60]:
            producer.produce(meter_settings.topic(USAGE), **record)
        end(30)
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 120
    gaps = await pool.fetchval("SELECT sum(to_offset - from_offset) FROM meter.gaps")
    covered = await pool.fetchval("SELECT sum(usage_offset) FROM meter.shards")
    assert 120 + gaps == covered
