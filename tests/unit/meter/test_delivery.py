"""What becomes of events while Kafka is away: bounded, tried again, and lost before nobody's eyes."""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import SaslAuthenticationFailed, TopicAuthorizationFailedError

from meter import delivery, undelivered
from meter.client import BufferFullError, DeliveryError, NotRunningError, UsageProducer
from meter.runtime.errors import DependencyUnreachableError, explain
from meter.runtime.kafka import Landed, Message
from meter.runtime.kafka.producer import OnLanded
from schemas.build import decode_event
from tests.support import until
from tests.unit.meter.scripted_kafka import ScriptedKafka, settings


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> ScriptedKafka:
    scripted = ScriptedKafka()
    monkeypatch.setattr(delivery, "Producer", lambda settings, client_id: scripted)
    return scripted


def ids_of(kafka: ScriptedKafka) -> list[str]:
    return [decode_event(message.value or b"").envelope.id for message in kafka.arrived]


async def test_a_full_buffer_refuses_in_words_and_keeps_what_it_has(kafka: ScriptedKafka) -> None:
    kafka.go_away()
    async with UsageProducer(settings(), source="/tests", max_pending=2, block_s=0.02) as usage:
        ids = [await usage.tool_run("acc-1", tool="search") for _ in range(2)]
        await until(lambda: kafka.publishes > 0, 30, "it is tried")
        with pytest.raises(
            BufferFullError, match=r"2 events wait for Kafka.*0\.02 s: kafka is away; third was not taken"
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


async def test_lost_events_are_told_and_may_be_sent_again(kafka: ScriptedKafka) -> None:
    lost: list[DeliveryError] = []
    kafka.go_away()
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01, on_lost=lost.append) as usage:
        ids = [await usage.tool_run("acc-1", tool="search") for _ in range(3)]
        await usage.flush()
        assert [name for error in lost for name in error.event_ids] == ids
        kafka.come_back()
        for error in lost:
            await usage.send_again(error)
    assert ids_of(kafka) == ids


async def test_lost_events_are_logged_where_nobody_flushes(
    kafka: ScriptedKafka, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.go_away()
    with pytest.raises(DeliveryError, match="1 event was not delivered"), caplog.at_level(logging.ERROR):
        async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01) as usage:
            await usage.tool_run("acc-1", tool="search", event_id="one")
            await until(lambda: "events_lost" in caplog.text, 30, "it is logged")
            assert "one" in caplog.text


async def test_what_is_kept_for_a_flush_is_bounded_and_counted(
    kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undelivered, "MAX_KEPT", 2)
    kafka.go_away()
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01) as usage:
        for _ in range(5):
            await usage.tool_run("acc-1", tool="search")
        with pytest.raises(DeliveryError, match=r"^5 events") as caught:
            await usage.flush()
    assert len(caught.value.events) == 2


async def test_a_close_that_is_over_names_what_is_left(kafka: ScriptedKafka) -> None:
    kafka.go_away()
    usage = UsageProducer(settings(), source="/tests", connect=False)
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="left")
    await until(lambda: kafka.publishes > 1, 30, "it is tried")
    with pytest.raises(DeliveryError) as caught:
        await usage.close(0.02)
    assert caught.value.event_ids == ("left",)
    said = r"\(left\): the producer was closed before kafka at localhost:9092 had them: kafka is away$"
    assert re.search(said, str(caught.value))


async def test_a_close_while_kafka_is_silent_says_that_no_answer_came(kafka: ScriptedKafka) -> None:
    """There is no error of a try to tell of, because the first has not ended."""
    kafka.silent.add("acc-1")
    usage = UsageProducer(settings(), source="/tests", connect=False)
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="left")
    await until(lambda: kafka.publishes > 0, 30, "it is tried")
    with pytest.raises(DeliveryError, match="before kafka at localhost:9092 had them: no answer came in time"):
        await usage.close(0.02)


def test_a_timeout_without_words_is_told_in_ours() -> None:
    assert explain(TimeoutError()) == "no answer came in time"
    assert explain(ExceptionGroup("", [TimeoutError(), LookupError()])) == "no answer came in time; LookupError"


async def test_an_exception_in_the_block_drops_nothing_unseen(kafka: ScriptedKafka) -> None:
    with pytest.raises(LookupError):
        async with UsageProducer(settings(), source="/tests") as usage:
            await usage.tool_run("acc-1", tool="search", event_id="sent")
            raise LookupError
    assert ids_of(kafka) == ["sent"]


async def test_a_fault_of_on_lost_does_not_end_the_sender(kafka: ScriptedKafka) -> None:
    def fail(error: DeliveryError) -> None:
        raise LookupError

    kafka.go_away()
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01, on_lost=fail) as usage:
        await usage.tool_run("acc-1", tool="search")
        await asyncio.wait_for(usage.flush(), 30)
        kafka.come_back()
        await usage.tool_run("acc-1", tool="search", event_id="next")
    assert ids_of(kafka) == ["next"]


async def test_it_starts_without_kafka_if_it_is_to(kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start() -> None:
        raise AssertionError("it must not connect")

    monkeypatch.setattr(kafka, "start", start)
    async with UsageProducer(settings(), source="/tests", connect=False) as usage:
        await usage.tool_run("acc-1", tool="search", event_id="one")
    assert ids_of(kafka) == ["one"]


async def test_a_flush_that_comes_between_is_told_of_what_is_lost(kafka: ScriptedKafka) -> None:
    """While the sender waits to say that something has changed, nothing may look as if all had arrived."""
    kafka.go_away()
    async with UsageProducer(settings(), source="/tests") as usage:
        held, free = asyncio.Event(), asyncio.Event()

        def refuse(messages: Sequence[Message], number: int) -> None:
            raise ValueError("never")

        async def hold() -> None:
            async with usage._delivery._changed:
                held.set()
                await free.wait()

        await usage.tool_run("acc-1", tool="search", event_id="lost")
        await until(lambda: kafka.publishes > 0, 30, "it is tried")
        holding = asyncio.create_task(hold())
        await held.wait()
        flushing = asyncio.create_task(usage.flush())
        await asyncio.sleep(0)  # it waits for the condition now, before the sender does
        kafka.refuse = refuse
        await until(lambda: usage._delivery._pending == 0, 30, "it is lost")
        free.set()
        with pytest.raises(DeliveryError, match="1 event was not delivered"):
            await flushing
        await holding


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


async def test_a_close_loses_nothing_that_was_acknowledged(kafka: ScriptedKafka) -> None:
    """Though the call that sent it waits for a partition from which nothing is heard."""
    kafka.silent.add("silent")
    usage = UsageProducer(settings(), source="/tests")
    await usage.__aenter__()
    for account in ("acc-1", "silent", "acc-2"):
        await usage.tool_run(account, tool="search", event_id=account)
    await until(lambda: len(kafka.arrived) == 2, 30, "the others are delivered")
    with pytest.raises(DeliveryError) as caught:
        await usage.close(0.02)
    assert caught.value.event_ids == ("silent",)


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


@pytest.mark.parametrize("fault", [LookupError("a bug"), asyncio.CancelledError()])
@pytest.mark.parametrize("step", ["place", "publish_each"])
async def test_a_bug_after_a_close_has_begun_ends_it(kafka: ScriptedKafka, fault: BaseException, step: str) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def fail(*_: object) -> list[Landed | Exception]:
        asked.set()
        await gate.wait()
        raise fault

    setattr(kafka, step, fail)
    usage = UsageProducer(settings(), source="/tests")
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="lost")
    await asyncio.wait_for(asked.wait(), 30)
    closing = asyncio.create_task(usage.close(None))
    await asyncio.sleep(0)  # it waits for the event now
    gate.set()
    with pytest.raises(DeliveryError, match=r"\(lost\): the producer has failed"):
        await asyncio.wait_for(closing, 30)
    with pytest.raises(NotRunningError, match="is closed: make a new one"):
        await usage.tool_run("acc-1", tool="search")


async def test_a_flush_ends_where_another_task_closes_the_producer(kafka: ScriptedKafka) -> None:
    kafka.silent.add("acc-1")
    usage = UsageProducer(settings(), source="/tests")
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="left")
    flushing = asyncio.create_task(usage.flush())
    await until(lambda: kafka.publishes > 0, 30, "it is tried")
    results = await asyncio.wait_for(asyncio.gather(flushing, usage.close(0.02), return_exceptions=True), 30)
    assert sorted(type(result).__name__ for result in results) == ["DeliveryError", "NoneType"], "it is told once"


@pytest.mark.parametrize("refusal", [TopicAuthorizationFailedError("metering.usage"), SaslAuthenticationFailed("no")])
async def test_a_right_that_is_refused_may_be_given_in_time(kafka: ScriptedKafka, refusal: Exception) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        if number <= 3:
            raise refusal

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests") as usage:
        await usage.tool_run("acc-1", tool="search", event_id="one")
    assert ids_of(kafka) == ["one"] and kafka.publishes == 4


async def test_a_right_that_is_not_given_is_told_with_what_to_do(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        raise TopicAuthorizationFailedError("metering.usage")

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests", delivery_timeout_s=0.01) as usage:
        await usage.tool_run("acc-1", tool="search", event_id="one")
        with pytest.raises(DeliveryError, match=r"localhost:9092.*lacks.*metering\.usage.*deploy/kafka-acls\.txt"):
            await usage.flush()


async def test_a_flush_waits_for_what_was_sent_before_it_and_no_more(kafka: ScriptedKafka) -> None:
    """Under steady load there is always something that came later."""

    def refuse(messages: Sequence[Message], number: int) -> None:
        if messages[0].key != "before":
            raise DependencyUnreachableError("later ones wait", dependency="kafka")

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests") as usage:
        await usage.tool_run("before", tool="search", event_id="before")
        flushing = asyncio.create_task(usage.flush())
        await asyncio.sleep(0)
        await usage.tool_run("after", tool="search", event_id="after")
        await asyncio.wait_for(flushing, 30)
        assert ids_of(kafka) == ["before"]
        kafka.come_back()


async def test_a_flush_does_not_pass_while_an_older_event_waits(kafka: ScriptedKafka) -> None:
    def refuse(messages: Sequence[Message], number: int) -> None:
        if messages[0].key == "old":
            raise DependencyUnreachableError("no leader", dependency="kafka")

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests") as usage:
        for account in ("old", "young"):
            await usage.tool_run(account, tool="search", event_id=account)
        await until(lambda: ids_of(kafka) == ["young"], 30, "the young one has landed")
        flushing = asyncio.create_task(usage.flush())
        tried = kafka.publishes
        await until(lambda: kafka.publishes > tried + 2, 30, "the old one is tried again")
        assert not flushing.done()
        kafka.come_back()
        await asyncio.wait_for(flushing, 30)
    assert ids_of(kafka) == ["young", "old"]


async def test_whoever_waits_for_room_is_told_when_the_producer_is_closed(kafka: ScriptedKafka) -> None:
    kafka.go_away()
    usage = UsageProducer(settings(), source="/tests", max_pending=1, block_s=600)
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="left")
    waiting = [asyncio.create_task(usage.tool_run("acc-1", tool="search")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(DeliveryError):
        await usage.close(0.01)
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert [type(result) for result in results] == [NotRunningError] * 3
    assert "is closed: make a new one" in str(results[0]) and "was not taken" in str(results[0])


async def test_a_bug_of_the_sender_is_told_to_everybody(kafka: ScriptedKafka) -> None:
    gate = asyncio.Event()

    async def fail(messages: Sequence[Message], on_landed: OnLanded | None = None) -> list[Landed | Exception]:
        await gate.wait()
        raise LookupError("a bug")

    kafka.publish_each = fail  # type: ignore[method-assign]
    usage = UsageProducer(settings(), source="/tests", max_pending=1, block_s=600)
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="lost")
    waiting = asyncio.create_task(usage.tool_run("acc-1", tool="search"))
    flushing = asyncio.create_task(usage.flush())
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(NotRunningError, match=r"has failed.*a bug.*make a new one"):
        await asyncio.wait_for(waiting, 30)
    with pytest.raises(DeliveryError, match=r"\(lost\).*a bug"):
        await asyncio.wait_for(flushing, 30)
    with pytest.raises(NotRunningError):
        await usage.tool_run("acc-1", tool="search")
    await asyncio.wait_for(usage.close(), 30)


async def test_one_that_is_closed_says_so(kafka: ScriptedKafka) -> None:
    async with UsageProducer(settings(), source="/tests") as usage:
        pass
    with pytest.raises(NotRunningError, match="is closed: make a new one"):
        await usage.tool_run("acc-1", tool="search")


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
