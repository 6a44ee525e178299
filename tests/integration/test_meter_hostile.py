"""What any producer can write to a topic, before the running meter: recorded, shown, verified, and it goes on."""

import json

import pytest

from meter.runtime.kafka import Producer, TopicAdmin
from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.topics import ACCOUNTS, USAGE, partition_for
from tests.integration.test_meter_cli import send
from tests.support import builders
from tests.support.damaging import lift_triggers
from tests.support.meter import running_meter, wait_until_stored
from tests.support.processes import Processes
from tests.support.raw_batches import ZSTD, RawProducer, batch, record

pytestmark = pytest.mark.needs_kafka("record batches stored as they were sent")
KEY = builders.ACCOUNT.encode()
BAD_NAME = [(b"content-type", b"application/cloudevents+json"), (b"\xff\xfe", b"x")]
COVERED = """
SELECT topic, sum(beyond - kafka_offset)::bigint AS records FROM (
    SELECT topic, kafka_offset, coalesce(to_offset, kafka_offset + 1) AS beyond FROM meter.rejections
) r GROUP BY topic
"""


def event() -> bytes:
    return json.dumps(builders.model_inference(account_id=builders.ACCOUNT)).encode()


async def write(settings: MeterSettings, topic: str, *batches: bytes) -> list[int]:
    shard = partition_for(KEY, settings.partitions)
    async with RawProducer(settings.kafka_bootstrap) as producer:
        return [await producer.send(settings.topic(topic), shard, written) for written in batches]


async def test_no_batch_ends_the_meter_and_every_offset_is_accounted_for(
    meter_settings: MeterSettings, pool: Pool, processes: Processes
) -> None:
    """Around each hostile batch an event of the same account, which must count."""
    hostile = [
        batch([record(0, event(), key=KEY, headers=BAD_NAME)]),
        batch([record(n, bytes(6 << 20)) for n in range(3)], kind=ZSTD),
        batch([record(9_000_000, event(), key=KEY)]),
        batch([record(0, b"", headers=[(b"", None)] * 3_000_000)], kind=ZSTD),
        batch([record(n, None) for n in range(60_000)], kind=ZSTD),
        batch([record(n, b"x" * 300_000) for n in range(3)]),
    ]
    async with Producer(meter_settings) as producer:
        await send(producer, event())
        for written in hostile:
            await write(meter_settings, USAGE, written)
            await write(meter_settings, ACCOUNTS, written)
            await send(producer, event())
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    # Of two hostile batches the events count as well: with the bad name, and with the far offset.
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 1 + len(hostile) + 2
    covered = {row["topic"]: row["records"] for row in await pool.fetch(COVERED)}
    assert covered == {USAGE: 3 + 1 + 60_000 + 3, ACCOUNTS: 1 + 3 + 1 + 1 + 60_000 + 3}
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") < 60
    assert await pool.fetchval("SELECT count(*) FROM meter.gaps") == 0
    assert await pool.fetchval("SELECT max(octet_length(value)) FROM meter.rejections") <= 65_536
    async with TopicAdmin(meter_settings) as admin:
        end = (await admin.end_offsets(USAGE))[partition_for(KEY, meter_settings.partitions)]
    assert await pool.fetchval("SELECT max(usage_offset) FROM meter.shards") == end
    verified = processes.run("meter", "verify", "--no-anchors")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_an_undecodable_batch_is_listed_shown_and_no_replay_can_help(
    meter_settings: MeterSettings, pool: Pool, processes: Processes
) -> None:
    [offset] = await write(meter_settings, USAGE, batch([record(n, bytes(9 << 20)) for n in range(2)], kind=ZSTD))
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    listed = processes.run("meter", "rejections", "list", "--reason", "undecodable", "--json")
    [line] = [json.loads(text) for text in listed.stdout.splitlines()]
    assert (line["offset"], line["records"]) == (offset, 2)
    shown = json.loads(processes.run("meter", "rejections", "show", str(line["id"]), "--json").stdout)
    assert (shown["offset"], shown["last_offset"]) == (offset, offset + 1)
    assert "16 MiB" in shown["detail"] and "sound client" in shown["advice"]
    assert shown["original_bytes"] > 600 and len(shown["original_sha256"]) == 64
    done = processes.run("meter", "rejections", "replay", str(line["id"]))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"a replay cannot help {line['id']} (undecodable)" in done.stderr


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        ("to_offset = to_offset + 1", "batch_changed"),
        ("original_bytes = original_bytes + 1", "batch_changed"),
        ("to_offset = NULL, original_bytes = NULL, original_sha256 = NULL", "batch_changed"),
    ],
)
async def test_the_chain_covers_the_range_and_the_digest(
    meter_settings: MeterSettings, pool: Pool, processes: Processes, change: str, damage: str
) -> None:
    await write(meter_settings, USAGE, batch([record(n, bytes(9 << 20)) for n in range(2)], kind=ZSTD))
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    assert processes.run("meter", "verify", "--no-anchors").returncode == 0
    await lift_triggers(pool, "meter.rejections")
    await pool.execute(f"UPDATE meter.rejections SET {change}")
    done = processes.run("meter", "verify", "--no-anchors", "--json")
    assert done.returncode == 1 and damage in done.stdout
