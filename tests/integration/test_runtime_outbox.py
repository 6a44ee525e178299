"""The outbox relay against real servers: in order, at least once, and one shard holds up no other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import confluent_kafka
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

from meter.runtime import fault_points
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.fault_points import InjectedError, parse_fault_points
from meter.runtime.kafka import Landed, Message, Producer
from meter.runtime.kafka.adapter import producer as producer_adapter
from meter.runtime.looks import Looks
from meter.runtime.outbox import OutboxRelay
from meter.runtime.outbox_messages import messages_for
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.runtime.settings import Settings
from schemas.topics import BALANCES
from tests.integration.runtime_ledger import make_topics, read_all
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within

DEADLINE_S = 30


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    await make_topics(settings, BALANCES)
    return settings


async def write_outbox(pool: Pool, shard: int, values: list[str]) -> None:
    await pool.execute("INSERT INTO projections.outbox_shards VALUES ($1) ON CONFLICT (shard) DO NOTHING", shard)
    await pool.executemany(
        "INSERT INTO projections.outbox (shard, key, value) VALUES ($1, $2, $3)",
        [(shard, f"account-{shard}", value.encode()) for value in values],
    )


@asynccontextmanager
async def relay(settings: Settings, pool: Pool, **options: Any) -> AsyncIterator[OutboxRelay]:
    async with asyncio.timeout(DEADLINE_S), Producer(settings) as producer:
        yield OutboxRelay(pool, producer, "projections", messages_for(BALANCES), **options)


async def published(settings: Settings) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for records in (await read_all(settings, BALANCES)).values():
        for key, value in records:
            found.setdefault(key or b"", []).append((value or b"").decode())
    return found


async def test_the_outbox_is_published_in_order_and_emptied(topics: Settings, pool: Pool) -> None:
    for shard in range(3):
        await write_outbox(pool, shard, [str(number) for number in range(25)])
    async with relay(topics, pool, batch=10) as outbox:
        while await outbox.relay():
            pass
        assert await outbox.count() == 0
    for values in (await published(topics)).values():
        assert values == [str(number) for number in range(25)]


async def test_the_outbox_is_published_as_every_client_reads_it(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the content type that CloudEvents SDKs ask for, and packed with gzip, which needs no plug-in anywhere."""
    options: dict[str, Any] = {}

    class Recorded(AIOKafkaProducer):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            options.update(given)
            super().__init__(**given)

    monkeypatch.setattr(producer_adapter, "AIOKafkaProducer", Recorded)
    await write_outbox(pool, 0, ["a"])
    async with relay(topics, pool) as outbox:
        await outbox.relay()
    consumer = confluent_kafka.Consumer({"bootstrap.servers": topics.kafka_bootstrap, "group.id": "any"})
    try:
        name = topics.topic(BALANCES)
        consumer.assign([confluent_kafka.TopicPartition(name, number, 0) for number in range(topics.partitions)])
        [record] = await asyncio.to_thread(consumer.consume, 1, DEADLINE_S)
    finally:
        consumer.close()
    assert record.headers() == [("content-type", b"application/cloudevents+json")]
    assert options["compression_type"] == "gzip"


async def test_relays_at_the_same_time_do_not_mix_up_a_shard(topics: Settings, pool: Pool) -> None:
    for shard in range(3):
        await write_outbox(pool, shard, [str(number) for number in range(40)])
    async with relay(topics, pool, batch=7) as first, relay(topics, pool, batch=7) as second:
        while await first.count():
            await asyncio.gather(first.relay(), second.relay(), first.relay())
    for values in (await published(topics)).values():
        assert values == [str(number) for number in range(40)]


async def test_a_crash_after_publishing_publishes_again_and_loses_nothing(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_points, "_armed", parse_fault_points("outbox_between_publish_and_delete:1:raise"))
    monkeypatch.setattr(fault_points, "_visits", {})
    await write_outbox(pool, 0, ["a", "b", "c"])
    async with relay(topics, pool) as outbox:
        with pytest.raises(InjectedError):
            await outbox.relay()
        assert await outbox.count() == 3
        assert await outbox.relay() == 3
        assert await outbox.relay() == 0
    assert await published(topics) == {b"account-0": ["a", "b", "c", "a", "b", "c"]}


class Refusing:
    """Has the producer fail what `refused` names, until it is emptied; the others land."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *refused: bytes) -> None:
        self.refused = set(refused)
        self.error: Exception = DependencyUnreachableError("no leader", dependency="kafka")
        publish_each = Producer.publish_each

        async def publish(producer: Producer, messages: Sequence[Message]) -> list[Landed | Exception]:
            let = [message for message in messages if message.value not in self.refused]
            results = iter(await publish_each(producer, let) if let else [])
            return [self.error if message.value in self.refused else next(results) for message in messages]

        monkeypatch.setattr(Producer, "publish_each", publish)


async def test_a_shard_that_cannot_be_published_holds_up_no_other(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, tried again, and goes on in order when it can."""
    refusing, health, stop = Refusing(monkeypatch, b"1b"), Health(), asyncio.Event()
    for shard in range(3):
        await write_outbox(pool, shard, [f"{shard}a", f"{shard}b", f"{shard}c"])
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))

        async def is_held() -> bool:
            return await outbox.count() == 2 and len(health.report()["faults"]) == 1  # type: ignore[arg-type]

        await until(is_held, message="all but one shard are published")
        await write_outbox(pool, 0, ["0d"])
        outbox.wake.set()
        await until(lambda: outbox_is(outbox, 2), message="the others go on")
        [(part, reason)] = health.report()["faults"].items()  # type: ignore[attr-defined]
        assert part == "projections-outbox shard 1" and "no leader" in reason
        refusing.refused.clear()
        await until(lambda: outbox_is(outbox, 0), message="it goes on")
        await until(lambda: health.report()["faults"] == {}, message="the fault is gone")
        stop.set()
        await running
    found = await published(topics)
    assert found[b"account-0"] == ["0a", "0b", "0c", "0d"]
    # What stands behind a message that failed comes again behind it.
    assert found[b"account-1"][0] == "1a" and found[b"account-1"][-2:] == ["1b", "1c"]


async def outbox_is(outbox: OutboxRelay, count: int) -> bool:
    return await outbox.count() == count


async def test_a_shard_that_fails_alone_is_held_as_well(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody else has a message nothing lands at all: that says nothing of Kafka as a whole."""
    refusing, health, stop = Refusing(monkeypatch, b"1a"), Health(), asyncio.Event()
    await write_outbox(pool, 1, ["1a"])
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await until(lambda: health.report()["faults"], message="it is held")
        await write_outbox(pool, 0, ["0a"])
        outbox.wake.set()
        await until(lambda: outbox_is(outbox, 1), message="the others go on")
        refusing.refused.clear()
        await until(lambda: outbox_is(outbox, 0), message="it goes on")
        stop.set()
        await running
    assert await published(topics) == {b"account-0": ["0a"], b"account-1": ["1a"]}


async def test_a_held_shard_that_another_relay_is_at_stays_held(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is waiting for the same partition, perhaps: released, it would hold up all shards again."""
    refusing, health, stop = Refusing(monkeypatch, b"1a"), Health(), asyncio.Event()
    monkeypatch.setattr("meter.runtime.outbox.LONGEST_PAUSE_S", 0.2)
    await write_outbox(pool, 0, ["0a"])
    await write_outbox(pool, 1, ["1a"])
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await until(lambda: health.report()["faults"], message="it is held")
        async with pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM projections.outbox_shards WHERE shard = 1 FOR UPDATE")
            asked = note_retries(outbox, monkeypatch)
            await until(lambda: len(asked) >= 3, message="it is tried again")
            assert list(health.report()["faults"]) == ["projections-outbox shard 1"]  # type: ignore[call-overload]
        refusing.refused.clear()
        await until(lambda: outbox_is(outbox, 0), message="it goes on")
        await until(lambda: not health.report()["faults"], message="the fault is gone")
        stop.set()
        await running


def note_retries(outbox: OutboxRelay, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """The shards of each retry that has ended from now on."""
    asked: list[Sequence[int]] = []
    retry = outbox._retry

    async def note(shards: Sequence[int]) -> None:
        await retry(shards)
        asked.append(shards)

    monkeypatch.setattr(outbox, "_retry", note)
    return asked


@pytest.mark.parametrize(
    "error", [kafka_errors.TopicAuthorizationFailedError("no right"), LookupError("a bug")], ids=repr
)
async def test_a_relay_that_can_publish_nothing_says_what_does_not_pass(
    topics: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    Refusing(monkeypatch, b"a", b"b").error = error
    await write_outbox(pool, 0, ["a"])
    await write_outbox(pool, 1, ["b"])
    async with relay(topics, pool) as outbox:
        with pytest.raises(type(error)):
            await outbox.relay()
        assert await outbox.count() == 2


async def test_the_running_relay_wakes_when_its_event_is_set(topics: Settings, pool: Pool) -> None:
    health, stop = Health(), asyncio.Event()
    async with relay(topics, pool, health=health, looks=Looks(30.0)) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await write_outbox(pool, 1, ["x"])
        outbox.wake.set()

        await until(lambda: health.progress_marks == 1, message="is published")
        assert await outbox.count() == 0
        stop.set()
        with within(2):
            async with asyncio.timeout(GIVEN_UP_S):
                await running
    assert await published(topics) == {b"account-1": ["x"]}


@pytest.mark.parametrize(
    ("woken_by_every_commit", "batch", "looks"),
    [
        (True, 1000, [3, "waits"]),
        (True, 3, [3, 0, "waits"]),
        (True, 2, [2, 1, "waits"]),
        (False, 1000, [3, 0, "waits"]),
    ],
)
async def test_a_relay_that_took_all_looks_again_unless_every_commit_wakes_it(
    topics: Settings,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
    woken_by_every_commit: bool,
    batch: int,
    looks: list[int | str],
) -> None:
    seen: list[int | str] = []
    look = OutboxRelay.relay

    async def note_look(self: OutboxRelay) -> int:
        seen.append(await look(self))
        return int(seen[-1])

    async def note_wait(wake: asyncio.Event, _seconds: float) -> None:
        seen.append("waits")
        await wake.wait()

    monkeypatch.setattr(OutboxRelay, "relay", note_look)
    monkeypatch.setattr("meter.runtime.outbox.wait_for", note_wait)
    stop = asyncio.Event()
    await write_outbox(pool, 0, ["a", "b", "c"])
    async with relay(topics, pool, batch=batch, woken_by_every_commit=woken_by_every_commit) as outbox:
        running = asyncio.create_task(outbox.run(stop))
        await until(lambda: "waits" in seen, message="it waits")
        assert seen == looks
        stop.set()
        await running
