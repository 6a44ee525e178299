"""Records in another partition than their account's: each counts once, after one trip to the right one."""

import json
import time

import confluent_kafka
import pytest

from meter.runtime.postgres import Pool, load_sql
from meter.settings import MeterSettings
from schemas.topics import REROUTED_HEADER, USAGE, partition_for
from tests.integration.test_meter_faults import in_group
from tests.integration.test_meter_foreign_producers import plain_records, produce
from tests.support import builders, until
from tests.support.meter import running_meter, wait_until_stored
from tests.support.processes import Processes


@pytest.mark.parametrize("partitioner", ["consistent_random", "random", "fnv1a_random"])
async def test_every_event_of_another_partitioner_counts(
    meter_settings: MeterSettings, pool: Pool, partitioner: str
) -> None:
    """librdkafka's default (consistent_random) puts most accounts elsewhere than Java's client does."""
    records = plain_records()
    produce(meter_settings, records, {"partitioner": partitioner})
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
        moved = await pool.fetchval("SELECT count(*) FROM meter.rerouted")
        assert 0 < moved < len(records)
        await until(lambda: is_stored(pool, len(records)), timeout_s=30)
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    assert await pool.fetchval("SELECT count(*) FROM meter.outbox") == 0
    wrong = [
        row
        for row in await pool.fetch("SELECT shard, account_id FROM meter.events")
        if row["shard"] != partition_for(row["account_id"].encode(), meter_settings.partitions)
    ]
    assert wrong == []
    [listed] = await pool.fetch(load_sql("meter", "list_rerouted"), None, 10)
    assert (listed["topic"], listed["records"]) == (USAGE, moved)


async def test_records_without_a_key_count_by_their_subject(meter_settings: MeterSettings, pool: Pool) -> None:
    produce(meter_settings, [{**record, "key": None} for record in plain_records()], {})
    async with running_meter(meter_settings):
        await until(lambda: is_stored(pool, len(plain_records())), timeout_s=60)
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0


async def test_a_record_is_sent_on_as_it_was_and_not_twice(meter_settings: MeterSettings, pool: Pool) -> None:
    """Key, value, headers and time are kept; the header that the meter adds says where it was."""
    account = builders.ACCOUNT.encode()
    right = partition_for(account, meter_settings.partitions)
    wrong = (right + 1) % meter_settings.partitions
    value = json.dumps(builders.model_inference(account_id=builders.ACCOUNT)).encode()
    headers = [("traceparent", b"00-1"), ("content-type", b"application/cloudevents+json"), ("x", b"\x00\xff")]
    stamp = int(time.time() * 1000) - 60_000  # not older than what the topic keeps
    around = {"key": account, "value": value, "timestamp": stamp}
    produce(meter_settings, [{**around, "headers": headers, "partition": wrong}], {})
    produce(meter_settings, [{**around, "headers": [*headers, (REROUTED_HEADER, b"7/7")], "partition": wrong}], {})
    async with running_meter(meter_settings):
        await until(lambda: is_stored(pool, 1), timeout_s=30)
        await wait_until_stored(pool, meter_settings)
    [sent] = read_partition(meter_settings, USAGE, right)
    assert (sent.key(), sent.value(), sent.timestamp()[1]) == (account, value, stamp)
    assert sent.headers() == [*headers, (REROUTED_HEADER, f"{wrong}/0/{meter_settings.partitions}".encode())]
    [rejected] = await pool.fetch("SELECT reason, detail FROM meter.rejections")
    assert rejected["reason"] == "wrong_partition" and "7/7" in rejected["detail"]


async def is_stored(pool: Pool, count: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM meter.events") == count)


def read_partition(settings: MeterSettings, topic: str, partition: int) -> list[confluent_kafka.Message]:
    """All records of a partition, by a client that is not ours."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"{settings.topic_prefix}look"}
    )
    try:
        place = confluent_kafka.TopicPartition(settings.topic(topic), partition, 0)
        consumer.assign([place])
        _low, high = consumer.get_watermark_offsets(place, timeout=10)
        records: list[confluent_kafka.Message] = []
        while len(records) < high:
            records += consumer.consume(high - len(records), timeout=10)
        return records
    finally:
        consumer.close()


@pytest.mark.parametrize("point", ["outbox_before_publish", "outbox_between_publish_and_delete", "after_commit"])
async def test_killed_on_the_way_it_counts_each_event_once(
    processes: Processes, meter_settings: MeterSettings, pool: Pool, point: str
) -> None:
    """1,000 events, all in one partition; the meter dies between storing a record and having sent it on: the first
    time, for it may send all at once."""
    records = [record for _ in range(5) for record in plain_records()][:1_000]
    produce(meter_settings, [{**record, "partition": 0} for record in records], {})
    victim = processes.spawn("meter", batch_events="50", fault_points=f"{point}:1:kill")
    assert victim.wait() == -9
    async with running_meter(in_group(meter_settings, "successor")):
        await until(lambda: is_stored(pool, len(records)), timeout_s=60)
        await wait_until_stored(pool, meter_settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    assert await pool.fetchval("SELECT count(*) FROM meter.outbox") == 0
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == len(records)
