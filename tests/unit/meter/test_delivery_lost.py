"""What is lost is told, with why and what to do; a right that is given in time loses nothing."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from aiokafka.errors import SaslAuthenticationFailed, TopicAuthorizationFailedError

from meter import undelivered
from meter.client import DeliveryError, UsageProducer
from meter.runtime.errors import explain
from meter.runtime.kafka import Message
from tests.support import until
from tests.unit.meter.scripted_kafka import ScriptedKafka, ids_of, settings


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


def test_a_timeout_without_words_is_told_in_ours() -> None:
    assert explain(TimeoutError()) == "no answer came in time"
    assert explain(ExceptionGroup("", [TimeoutError(), LookupError()])) == "no answer came in time; LookupError"


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
