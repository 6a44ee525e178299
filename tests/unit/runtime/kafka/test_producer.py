"""What the producer makes of a client that lets go of what it had taken."""

import asyncio
from typing import Any

import pytest

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Message, Producer, producer
from meter.runtime.settings import Settings


class Client:
    """Cancels the acks of the first connection; the second one acknowledges."""

    made: int = 0

    def __init__(self, *_: object, **__: object) -> None:
        Client.made += 1
        self.number = Client.made

    async def start(self) -> None: ...

    async def stop(self, _timeout_s: float) -> None: ...

    async def send(self, *_: object, **__: object) -> "asyncio.Future[Any]":
        ack: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.number == 1:
            ack.cancel()
        else:
            ack.set_result(type("Ack", (), {"partition": 0, "offset": 7}))
        return ack


async def test_a_cancelled_ack_is_a_fault_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised as it is, it would end the loop that publishes, and nobody would know."""

    async def known(_self: Producer, _client: object, topic: str) -> str:
        return topic

    monkeypatch.setattr(Client, "made", 0)
    monkeypatch.setattr(producer, "AiokafkaProducer", Client)
    monkeypatch.setattr(Producer, "_known_topic", known)
    publisher = Producer(Settings(), client_id="tests")
    message = Message("metering.usage", "acc-1", b"{}", 0, [], None)
    with pytest.raises(DependencyUnreachableError, match="the client let go of a record that it had taken"):
        await publisher.publish([message])
    assert [landed.offset for landed in await publisher.publish([message])] == [7]
    await publisher.stop()
