"""What a flush waits for, and what it is told."""

import asyncio
from collections.abc import Sequence

import pytest

from meter.client import DeliveryError, UsageProducer
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Message
from tests.support import until
from tests.unit.meter.scripted_kafka import ScriptedKafka, ids_of, settings


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


async def test_a_flush_ends_where_another_task_closes_the_producer(kafka: ScriptedKafka) -> None:
    kafka.silent.add("acc-1")
    usage = UsageProducer(settings(), source="/tests")
    await usage.__aenter__()
    await usage.tool_run("acc-1", tool="search", event_id="left")
    flushing = asyncio.create_task(usage.flush())
    await until(lambda: kafka.publishes > 0, 30, "it is tried")
    results = await asyncio.wait_for(asyncio.gather(flushing, usage.close(0.02), return_exceptions=True), 30)
    assert sorted(type(result).__name__ for result in results) == ["DeliveryError", "NoneType"], "it is told once"


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
