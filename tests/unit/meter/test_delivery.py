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


async def test_a_close_while_kafka_is_silent_says_that_no_answer_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no error of a try to tell of, because the first has not ended."""
    asked = asyncio.Event()

    class Silent(ScriptedKafka):
        async def publish_each(self, messages: Sequence[Message]) -> list[Landed | Exception]:
            asked.set()
            return await asyncio.Future()

    monkeypatch.setattr(delivery, "Producer", lambda settings, client_id: Silent())
    usage = UsageProducer(settings(), source="/tests", connect=False)
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="left")
    await asyncio.wait_for(asked.wait(), 30)
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

    async def fail(messages: Sequence[Message]) -> list[Landed | Exception]:
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
