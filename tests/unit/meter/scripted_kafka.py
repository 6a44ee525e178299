"""A Kafka for the tests of producers that does as it is told."""

import asyncio
from collections.abc import Callable, Sequence

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Landed, Message
from meter.runtime.kafka.producer import OnLanded
from meter.runtime.settings import Settings
from schemas.build import decode_event

UNREACHABLE = DependencyUnreachableError("kafka is away", dependency="kafka")


class ScriptedKafka:
    """In place of the real producer: `refuse` raises for messages that are not to arrive, and nothing is heard of those
    whose key is in `silent`. Each key has a partition of its own."""

    def __init__(self) -> None:
        self.arrived: list[Message] = []
        self.publishes = 0
        self.keys: dict[object, int] = {}
        self.silent: set[object] = set()
        self.unknown: Exception | None = None  # why nobody can say in which partition a message belongs
        self.refuse: Callable[[Sequence[Message], int], None] = lambda messages, number: None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def place(self, messages: Sequence[Message]) -> list[int | Exception]:
        await asyncio.sleep(0)
        return [self.unknown or self.keys.setdefault(message.key, len(self.keys)) for message in messages]

    async def publish_each(
        self, messages: Sequence[Message], on_landed: OnLanded | None = None
    ) -> list[Landed | Exception]:
        self.publishes += 1
        await asyncio.sleep(0)
        results = []
        for number, message in enumerate(messages):
            if message.key in self.silent:
                await asyncio.Future()
            results.append(result := self.judge(message))
            if on_landed is not None and isinstance(result, Landed):
                on_landed(number, result)
        return results

    def judge(self, message: Message) -> Landed | Exception:
        try:
            self.refuse([message], self.publishes)
        except Exception as error:
            return error
        self.arrived.append(message)
        return Landed(0, len(self.arrived) - 1)

    def go_away(self) -> None:
        def refuse(messages: Sequence[Message], number: int) -> None:
            raise UNREACHABLE

        self.refuse = refuse

    def come_back(self) -> None:
        self.refuse = lambda messages, number: None


def settings() -> Settings:
    return Settings(retry_first_s=0.001, retry_max_s=0.002)


def ids_of(kafka: ScriptedKafka) -> list[str]:
    return [decode_event(message.value or b"").envelope.id for message in kafka.arrived]
