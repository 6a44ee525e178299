"""Heads of the chains on Kafka, and `meter verify` as people run it."""

import json
from typing import Any

from meter.anchors import LOG_ANCHORED, ShardHead, plan_anchors, render_anchor
from meter.client import UsageProducer
from meter.runtime.kafka import Message, Producer
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.settings import MeterSettings
from schemas.build import decode_event
from schemas.outputs import LogAnchored
from schemas.topics import ANCHORS
from tests.contract.rows import MOMENT
from tests.support import until
from tests.support.damaging import pass_triggers
from tests.support.meter import running_meter, wait_until_stored
from tests.support.processes import Processes


async def read_anchors(settings: MeterSettings) -> list[LogAnchored]:
    found = []
    async for records in read_topic(settings, ANCHORS, batch=2):
        for record in records:
            assert record.value is not None
            envelope, data = decode_event(record.value)
            assert envelope.type == LOG_ANCHORED and isinstance(data, LogAnchored)
            assert envelope.account_id == str(data.shard)
            found.append(data)
    return found


async def produce(settings: MeterSettings, *accounts: str) -> None:
    async with UsageProducer(settings, source="/tests") as usage:
        for account in accounts:
            await usage.tool_run(account, tool="search")


ACCOUNTS = [f"acc-{number}" for number in range(12)]  # in all three shards


async def test_heads_are_published_when_they_moved_and_at_the_end(
    meter_settings: MeterSettings, values: dict[str, Any], pool: Pool
) -> None:
    health = Health()
    async with running_meter(MeterSettings(**values, anchor_s=0.05), health=health):
        await produce(meter_settings, *ACCOUNTS)
        await wait_until_stored(pool, meter_settings)
        heads = await pool.fetch("SELECT shard, next_batch - 1, head FROM meter.shards ORDER BY shard")

        async def are_published() -> bool:
            newest = {anchor.shard: (anchor.batch, anchor.hash) for anchor in await read_anchors(meter_settings)}
            return newest == {shard: (batch, head.hex()) for shard, batch, head in heads}

        _: bool = await until(are_published, timeout_s=20, message="the heads are not on the topic")
        published = health.metrics.published.labels(ANCHORS)
        assert published._value.get() == len(await read_anchors(meter_settings))  # no head twice
    async with running_meter(meter_settings):  # 60 s between anchors: only the drain publishes
        await produce(meter_settings, "acc-1")
        await wait_until_stored(pool, meter_settings)
    anchors = await read_anchors(meter_settings)
    rows = await pool.fetch("SELECT shard, batch, last_position, hash FROM meter.batches")
    batches = {(row["shard"], row["batch"]): (row["last_position"], row["hash"].hex()) for row in rows}
    assert all(batches[anchor.shard, anchor.batch] == (anchor.position, anchor.hash) for anchor in anchors)
    assert {anchor.shard: anchor.batch for anchor in anchors} == {
        row["shard"]: row["batch"]
        for row in await pool.fetch("SELECT shard, max(batch) AS batch FROM meter.batches GROUP BY shard")
    }


def test_only_heads_that_moved_are_planned() -> None:
    heads = [ShardHead(shard, 5, 9, bytes(32), MOMENT) for shard in range(3)]
    assert plan_anchors(heads, {0: 5, 1: 4}) == heads[1:]


def test_the_same_head_gives_the_same_bytes() -> None:
    head = ShardHead(1, 5, 0, bytes(range(32)), MOMENT)
    assert render_anchor(head) == render_anchor(head) != render_anchor(head._replace(batch=6))


async def test_verify_of_a_whole_log(meter_settings: MeterSettings, pool: Pool, processes: Processes) -> None:
    async with running_meter(meter_settings):
        await produce(meter_settings, *ACCOUNTS)
        await wait_until_stored(pool, meter_settings)
    done = processes.run("meter", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("whole: 3 shards, ") and "12 events, 3 anchors" in done.stdout
    assert "verify: 100 %, 12 events" in done.stderr
    one = processes.run("meter", "verify", "--shard", "1", "--no-anchors", "--from-batch", "2", "--json")
    summary = json.loads(one.stdout.splitlines()[-1])
    assert one.returncode == 0 and summary["kind"] == "summary" and summary["whole"] is True


async def test_verify_names_shard_and_batch_and_exits_with_1(
    meter_settings: MeterSettings, pool: Pool, processes: Processes
) -> None:
    async with running_meter(meter_settings):
        await produce(meter_settings, *ACCOUNTS)
        await wait_until_stored(pool, meter_settings)
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        row = await connection.fetchrow(
            "UPDATE meter.events SET amount = amount + 1 WHERE shard = 1 AND position = 1 RETURNING shard"
        )
        assert row is not None
    for options, where in (((), None), (("--shard", "1"), None), (("--shard", "0"), "whole")):
        done = processes.run("meter", "verify", *options)
        assert done.returncode == (0 if where else 1), done.stdout
        assert ("DAMAGE in shard 1 batch 1: batch_changed" in done.stdout) is (where is None)
    lines = [json.loads(line) for line in processes.run("meter", "verify", "--json").stdout.splitlines()]
    [damage] = [line for line in lines if line["kind"] == "damage"]
    assert (damage["shard"], damage["batch"], damage["damage"]) == (1, 1, "batch_changed")
    assert damage["advice"] and lines[-1]["whole"] is False


async def test_verify_finds_a_log_that_was_emptied(
    meter_settings: MeterSettings, pool: Pool, processes: Processes
) -> None:
    """Only the anchors remember."""
    async with running_meter(meter_settings):
        await produce(meter_settings, *ACCOUNTS)
        await wait_until_stored(pool, meter_settings)
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        await connection.execute("TRUNCATE meter.events, meter.batches")
        await connection.execute(
            "UPDATE meter.shards SET usage_offset = 0, next_position = 1, next_batch = 1, "
            "head = decode(repeat('00', 32), 'hex')"
        )
    assert processes.run("meter", "verify", "--no-anchors").returncode == 0
    done = processes.run("meter", "verify")
    assert done.returncode == 1
    assert all(f"DAMAGE in shard {shard} batch 1: log_cut" in done.stdout for shard in range(3)), done.stdout


async def test_verify_tells_a_foreign_record_among_the_anchors(
    meter_settings: MeterSettings, processes: Processes
) -> None:
    async with Producer(meter_settings) as producer:
        await producer.publish([Message(ANCHORS, "0", b"not an anchor")])
    done = processes.run("meter", "verify")
    assert done.returncode == 1 and "anchor_unreadable" in done.stdout


async def test_verify_of_a_shard_that_is_not_there(meter_settings: MeterSettings, processes: Processes) -> None:
    done = processes.run("meter", "verify", "--shard", "99")
    assert done.returncode == 1 and "there is no shard 99" in done.stderr and "Traceback" not in done.stderr
