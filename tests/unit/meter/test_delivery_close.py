"""The end of a producer: by a close, by an exception in its block, by a bug. Whoever waits is told of it."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from meter.client import DeliveryError, NotRunningError, UsageProducer
from meter.runtime.kafka import Landed, Message
from meter.runtime.kafka.producer import OnLanded
from tests.support import until
from tests.unit.meter.scripted_kafka import ScriptedKafka, ids_of, settings


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


async def test_an_exception_in_the_block_drops_nothing_unseen(kafka: ScriptedKafka) -> None:
    with pytest.raises(LookupError):
        async with UsageProducer(settings(), source="/tests") as usage:
            await usage.tool_run("acc-1", tool="search", event_id="sent")
            raise LookupError
    assert ids_of(kafka) == ["sent"]


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
