"""What becomes of events while Kafka is away: bounded, tried again, and no partition holds up another."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from meter import delivery
from meter.client import BufferFullError, DeliveryError, UsageProducer
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Landed, Message
from meter.runtime.kafka.producer import OnLanded
from tests.support import until
from tests.unit.meter.scripted_kafka import ScriptedKafka, ids_of, settings


async def test_a_full_buffer_refuses_in_words_and_keeps_what_it_has(kafka: ScriptedKafka) -> None:
    kafka.go_away()
    async with UsageProducer(settings(), source="/tests", max_pending=2, block_s=0.02) as usage:
        ids = [await usage.tool_run("acc-1", tool="search") for _ in range(2)]
        await until(lambda: kafka.publishes > 0, 30, "it is tried")
        with pytest.raises(
            BufferFullError, match=r"waiting for Kafka: 2 events.*0\.02 s: kafka is away; third was not taken"
        ):
            await usage.tool_run("acc-1", tool="search", event_id="third")
        kafka.come_back()
    assert ids_of(kafka) == ids


async def test_each_event_has_its_own_time(kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was buffered later is not lost with the one that stands before it, though they are sent together."""
    lost: list[DeliveryError] = []
    kafka.go_away()
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01, on_lost=lost.append) as usage:
        await usage.tool_run("acc-1", tool="search", event_id="old")
        monkeypatch.setattr(usage._delivery, "_delivery_timeout_s", 600)
        await usage.tool_run("acc-1", tool="search", event_id="young")
        await until(lambda: bool(lost), 30, "the first is lost")
        kafka.come_back()
    assert [error.event_ids for error in lost] == [("old",)]
    assert ids_of(kafka) == ["young"]


async def test_it_starts_without_kafka_if_it_is_to(kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start() -> None:
        raise AssertionError("it must not connect")

    monkeypatch.setattr(kafka, "start", start)
    async with UsageProducer(settings(), source="/tests", connect=False) as usage:
        await usage.tool_run("acc-1", tool="search", event_id="one")
    assert ids_of(kafka) == ["one"]


async def test_of_events_that_are_sent_together_only_those_are_lost_that_did_not_land(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        if messages[0].key == "acc-2":
            raise DependencyUnreachableError("no leader", dependency="kafka")

    lost: list[DeliveryError] = []
    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.05, on_lost=lost.append) as usage:
        for account in ("acc-1", "acc-2", "acc-3"):
            await usage.tool_run(account, tool="search", event_id=account)
    assert [error.event_ids for error in lost] == [("acc-2",)]
    assert ids_of(kafka) == ["acc-1", "acc-3"], "and what landed is not sent again"


async def test_one_partition_that_fails_holds_up_no_other(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        if messages[0].key == "away":
            raise DependencyUnreachableError("no leader", dependency="kafka")

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests") as usage:
        await usage.tool_run("away", tool="search", event_id="first")
        await until(lambda: kafka.publishes > 1, 30, "it is tried")
        await usage.tool_run("acc-1", tool="search", event_id="other")
        await until(lambda: ids_of(kafka) == ["other"], 30, "the other is delivered")
        kafka.come_back()
    assert ids_of(kafka) == ["other", "first"]


async def test_what_landed_in_front_of_a_silence_is_delivered_and_leaves_its_room(kafka: ScriptedKafka) -> None:
    """In one partition, batch by batch."""
    kafka.keys = {"acc-1": 0, "silent": 0}
    kafka.silent.add("silent")
    usage = UsageProducer(settings(), source="/tests", max_pending=2, block_s=600)
    await usage.__aenter__()
    for account in ("acc-1", "silent"):
        await usage.tool_run(account, tool="search", event_id=account)
    await asyncio.wait_for(usage.tool_run("acc-1", tool="search", event_id="behind"), 30)
    with pytest.raises(DeliveryError) as caught:
        await usage.close(0.02)
    assert ids_of(kafka) == ["acc-1"] and caught.value.event_ids == ("silent", "behind")


async def test_a_partition_that_is_silent_holds_up_no_other(
    kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much waits for it."""
    monkeypatch.setattr(delivery, "MAX_SEND", 2)
    kafka.silent.add("silent")
    async with UsageProducer(settings(), source="/tests") as usage:
        for _ in range(5):
            await usage.tool_run("silent", tool="search")
        await until(lambda: kafka.publishes > 0, 30, "it is tried")
        for account in ("acc-1", "acc-2", "acc-1"):
            await usage.tool_run(account, tool="search")
            await until(lambda: usage._delivery._pending == 5, 30, "the other is delivered")
        with pytest.raises(DeliveryError, match=r"^5 events"):
            await usage.close(0.02)
    assert [message.key for message in kafka.arrived] == ["acc-1", "acc-2", "acc-1"]


async def test_one_partition_is_sent_to_by_one_call_at_a_time(kafka: ScriptedKafka) -> None:
    """Else what comes later might land in front."""
    gate, arrive, under_way = asyncio.Event(), kafka.publish_each, 0

    async def hold(messages: Sequence[Message], on_landed: OnLanded | None = None) -> list[Landed | Exception]:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await gate.wait()
        results = await arrive(messages, on_landed)
        under_way -= 1
        return results

    kafka.publish_each = hold  # type: ignore[method-assign]
    async with UsageProducer(settings(), source="/tests") as usage:
        ids = [await usage.tool_run("acc-1", tool="search")]
        await until(lambda: under_way == 1, 30, "it is tried")
        ids += [await usage.tool_run("acc-1", tool="search") for _ in range(3)]
        await until(lambda: not usage._delivery._unplaced.events, 30, "the others are to be sent")
        gate.set()
    assert ids_of(kafka) == ids


async def test_while_nobody_knows_the_partitions_events_wait_for_their_time(kafka: ScriptedKafka) -> None:
    kafka.unknown = DependencyUnreachableError("there is no topic", dependency="kafka")
    async with UsageProducer(settings(), source="/tests") as usage:
        await usage.tool_run("acc-1", tool="search", event_id="one")
        await until(lambda: usage._delivery._trouble is kafka.unknown, 30, "it is tried")
        kafka.unknown = None
        await asyncio.wait_for(usage.flush(), 30)
        kafka.unknown = ValueError("never")
        await usage.tool_run("acc-1", tool="search", event_id="two")
        with pytest.raises(DeliveryError, match=r"\(two\): never"):
            await usage.flush()
    assert ids_of(kafka) == ["one"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_pending": 0}, "max_pending=0"),
        ({"delivery_timeout_s": 0}, "delivery_timeout_s=0"),
        ({"block_s": -1}, "block_s=-1"),
    ],
)
def test_bounds_that_take_no_event_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        UsageProducer(settings(), source="/tests", **options)
