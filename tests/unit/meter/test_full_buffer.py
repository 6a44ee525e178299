"""A full buffer says what it knows: that there was no room for one event, whatever has left for others meanwhile."""

import asyncio
from collections.abc import Sequence

import pytest

from meter import delivery
from meter.client import BufferFullError, UsageProducer
from meter.runtime.kafka import Message
from schemas.build import decode_event
from tests.support.virtual_loop import run_virtually
from tests.unit.meter.scripted_kafka import UNREACHABLE, ScriptedKafka, settings

BLOCK_S = 0.5


def test_an_event_that_left_may_have_made_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = ScriptedKafka()
    monkeypatch.setattr(delivery, "Producer", lambda settings, client_id: kafka)
    taken, refused = run_virtually(send_three(kafka))
    assert ids_of(kafka.arrived) == ["first", "second"] and taken == "second"
    assert isinstance(refused, BufferFullError)
    assert str(refused).startswith("waiting for Kafka: 1 event, and there was no room for this one in 0.5 s")
    assert str(refused).endswith("kafka is away; third was not taken")


async def send_three(kafka: ScriptedKafka) -> list[str | BaseException]:
    """The first leaves, so that there is room for the second; what comes of this one and of the third."""
    may_leave = set[str]()

    def refuse(messages: Sequence[Message], _number: int) -> None:
        if not may_leave.issuperset(ids_of(messages)):
            raise UNREACHABLE

    kafka.refuse = refuse
    async with UsageProducer(settings(), source="/tests", max_pending=1, block_s=BLOCK_S) as usage:
        await usage.tool_run("acc-1", tool="search", event_id="first")
        waiting = [
            asyncio.create_task(usage.tool_run("acc-1", tool="search", event_id=name)) for name in ("second", "third")
        ]
        await asyncio.sleep(BLOCK_S / 2)
        may_leave.add("first")
        found = await asyncio.gather(*waiting, return_exceptions=True)
        kafka.come_back()
    return found


def ids_of(messages: Sequence[Message]) -> list[str]:
    return [decode_event(message.value or b"").envelope.id for message in messages]
