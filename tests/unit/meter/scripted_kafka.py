"""A Kafka for the tests of producers that does as it is told."""

import asyncio
from collections.abc import Callable, Sequence

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Landed, Message
from meter.runtime.settings import Settings

UNREACHABLE = DependencyUnreachableError("kafka is away", dependency="kafka")


class ScriptedKafka:
    """In place of the real producer: `refuse` raises for messages that are not to arrive."""

    def __init__(self) -> None:
        self.arrived: list[Message] = []
        self.publishes = 0
        self.refuse: Callable[[Sequence[Message], int], None] = lambda messages, number: None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def publish_each(self, messages: Sequence[Message]) -> list[Landed | Exception]:
        self.publishes += 1
        await asyncio.sleep(0)
        return [self.judge(message) for message in messages]

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
