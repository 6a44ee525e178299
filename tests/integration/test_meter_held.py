"""Reversals of usage that a client wrote to another partition, which has a backlog: they wait until it was sent on."""

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import Gauge

from meter.client import AccountsProducer
from meter.runtime.kafka import Message, Producer
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.settings import MeterSettings
from schemas.build import STRUCTURED_HEADERS
from schemas.resources import Resource
from schemas.topics import USAGE, partition_for
from tests.support import builders, until
from tests.support.meter import running_meter
from tests.support.processes import Processes

ACCOUNT = "acct-7"
BACKLOG = 600
USED = "request 1"


def message(account: str, partition: int, **attributes: Any) -> Message:
    value = builders.encode(builders.model_inference("1", account_id=account, **attributes))
    return Message(USAGE, account, value, partition, STRUCTURED_HEADERS)


async def write_backlog(settings: MeterSettings) -> int:
    """The usage comes last in a partition that is not its account's. Returns that of the account."""
    right = partition_for(ACCOUNT.encode(), settings.partitions)
    wrong = (right + 1) % settings.partitions
    other = next(
        name for number in range(999)
        if partition_for((name := f"other-{number}").encode(), settings.partitions) == wrong
    )  # fmt: skip
    async with Producer(settings) as producer:
        await producer.publish([message(other, wrong) for _ in range(BACKLOG)])
        await producer.publish([message(ACCOUNT, wrong, id=USED)])
    return right


async def abort_transaction(settings: MeterSettings, partition: int) -> None:
    """A record that nobody is to read, and a marker behind it: two offsets at the end of the partition."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, transactional_id=settings.topic("tx"), acks="all"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        value = builders.encode(builders.model_inference("1", account_id="acct-tx"))
        await producer.send_and_wait(settings.topic(USAGE), value, partition=partition)
        await producer.abort_transaction()
    finally:
        await producer.stop()


def read_value(gauge: Gauge) -> float:
    [family] = gauge.collect()
    return family.samples[0].value


async def reverse(settings: MeterSettings, *names: str) -> None:
    async with AccountsProducer(settings, source="/example/billing") as accounts:
        for name in names:
            await accounts.reversed(
                ACCOUNT, resource=Resource.MODEL_CREDITS, amount="1", reason="outage", reverses=name
            )


async def is_judged(pool: Pool) -> bool:
    """The usage is reversed, and the reversal of what nobody sent is rejected."""
    return await is_judged_after_kills(pool) and len(await reasons(pool)) == 1


async def is_judged_after_kills(pool: Pool) -> bool:
    """A meter that is killed between sending a reversal again and forgetting that it has to sends it twice: each record
    that is refused is a rejection of its own."""
    return (await pool.fetchval("SELECT count(*) FROM meter.reversals"), set(await reasons(pool))) == (
        1, {"reverses_unknown"},
    )  # fmt: skip


async def is_sent(pool: Pool) -> bool:
    """What is sent again may be judged before the transaction that deletes it from the outbox has ended."""
    return bool(await pool.fetchval("SELECT count(*) = 0 FROM meter.outbox"))


async def reasons(pool: Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT reason FROM meter.rejections ORDER BY 1")]


async def is_waiting(pool: Pool, count: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) >= $1 FROM meter.waiting", count))


async def test_usage_that_is_still_to_be_sent_on_is_waited_for(
    processes: Processes, meter_settings: MeterSettings, pool: Pool
) -> None:
    """Its own partition is empty, so that it was judged at once, and wrongly."""
    shard = await write_backlog(meter_settings)
    await reverse(meter_settings, USED, "request 2")
    meter = processes.start("meter", batch_events="1")
    await until(lambda: is_waiting(pool, 2), 30, "both wait")
    meter.pause()  # else what they wait for might be read before they are listed
    try:
        said = await asyncio.to_thread(processes.run, "meter", "waiting", "--json")
    finally:
        meter.resume()
    listed = [json.loads(line) for line in said.stdout.splitlines()]
    assert {(line["shard"], line["state"].partition(" for ")[0]) for line in listed} == {(shard, "waits")}
    await until(lambda: is_judged(pool), 60, "both reversals are judged")
    await until(lambda: is_sent(pool), message="the outbox is empty")
    done = processes.run("meter", "verify")
    assert done.returncode == 0, done.stdout


async def test_a_meter_that_is_killed_meanwhile_forgets_none(
    processes: Processes, meter_settings: MeterSettings, pool: Pool
) -> None:
    await write_backlog(meter_settings)
    await reverse(meter_settings, USED, "request 2")
    for wanted in 2, 3:  # while both wait for the other partition; behind that, if it is met
        # A short session: the next one gets shards once Kafka has given this one up.
        meter = processes.start("meter", batch_events="1", kafka_session_ms="6000")
        await until(lambda count=wanted: is_later(pool, count), 60, "they wait")  # type: ignore[misc]
        meter.kill()
        meter.wait()
    processes.start("meter")
    await until(lambda: is_judged_after_kills(pool), 60, "both reversals are judged")
    await until(lambda: is_sent(pool), message="the outbox is empty")
    assert processes.run("meter", "verify").returncode == 0


async def is_later(pool: Pool, count: int) -> bool:
    return await is_waiting(pool, count) or await is_judged_after_kills(pool)


async def test_usage_that_keeps_coming_elsewhere_holds_up_no_judgement(
    processes: Processes, meter_settings: MeterSettings, pool: Pool
) -> None:
    """Each wait is for what was there, so an unknown event is told within seconds and waits twice at most."""
    await write_backlog(meter_settings)
    processes.start("meter")
    await reverse(meter_settings, USED, "request 2")
    async with Producer(meter_settings) as producer:

        async def judged() -> bool:
            await producer.publish(
                [message(f"acct-{number}", number % meter_settings.partitions) for number in range(50)]
            )
            return await is_judged(pool)

        await until(judged, 60, "both reversals are judged")
    assert await pool.fetchval("SELECT count(*) FROM meter.waiting") <= 4


@pytest.mark.needs_kafka("transactions")
async def test_markers_at_the_end_of_partitions_that_another_meter_reads_are_not_waited_for(
    meter_settings: MeterSettings, pool: Pool
) -> None:
    """Nothing follows them, so cursors stay below the ends: each meter knows that of its own partitions alone."""
    shares = Health(), Health()
    async with running_meter(meter_settings, health=shares[0]), running_meter(meter_settings, health=shares[1]):
        await until(lambda: all(read_value(health.metrics.shards) for health in shares), 60, "both have shards")
        for partition in range(meter_settings.partitions):
            await abort_transaction(meter_settings, partition)
        await reverse(meter_settings, "nobody sent this")
        await until(lambda: is_waiting(pool, 1), 30, "it waits")
        stored = await pool.fetchval("SELECT sum(usage_offset) FROM meter.shards")
        assert stored == 0, "no cursor has moved"

        async def rejected() -> bool:
            return await reasons(pool) == ["reverses_unknown"]

        await until(rejected, 60, "it is judged")
    await until(lambda: is_sent(pool), message="the outbox is empty")
