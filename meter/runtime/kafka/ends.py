"""Where partitions end, asked over a connection of its own.

A broker answers one request of a connection after the other: behind a fetch that waits for records a question waits as
long, several times for each batch with a correction: under faults a backlog grew then that should have shrunk.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from meter.runtime.kafka.adapter.consumer import AiokafkaReader
from meter.runtime.kafka.adapter.protocols import ReaderClient, TopicInfo, TopicPartition
from meter.runtime.kafka.asking import Answers, ask_each
from meter.runtime.kafka.away import Away
from meter.runtime.settings import Settings

STOP_TIMEOUT_S: Final = 2.0


class EndsReader:
    """Connects at the first question, and anew at the first one after a failure.

    A partition that was silent is asked beside the callers until it answers. Until then it counts as silent, and
    whoever waits for the others does not wait for it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: ReaderClient | None = None
        self._lock = asyncio.Lock()
        self._away = Away(back=lambda: None)  # the next question has it
        self._questions = 0  # on their way
        self._answered = 0
        self._is_closed = False

    async def fetch(self, partitions: Collection[TopicPartition]) -> Answers[int]:
        """Of each the end of what is committed, or why it has no answer. Raises what the client raises as it
        connects."""
        self._is_closed = False
        silent = {tp: self._away.silent[tp] for tp in partitions if tp in self._away.silent}
        answers = await self._ask([tp for tp in partitions if tp not in silent])
        if not self._is_closed:  # else nobody would end the asking
            self._away.note(answers.silent, self._ask)
        return Answers(answers.found, answers.silent | silent)

    async def _ask(self, partitions: Collection[TopicPartition]) -> Answers[int]:
        if not partitions:
            return Answers({}, {})
        before = self._answered
        async with self._asking() as client:
            answers = await ask_each(client.end_offsets, partitions)
        self._answered += len(answers.found)
        if answers.silent and self._answered == before and not self._questions:  # nor did anybody else get an answer
            await self._disconnect()  # a new connection may find other brokers
        return answers

    async def describe(self, name: str) -> TopicInfo | None:
        """None: there is no such topic. Raises what the client raises."""
        async with self._asking() as client:
            return await client.describe_topic(name)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[ReaderClient]:
        client = await self._connect()
        self._questions += 1
        try:
            yield client
        except BaseException:
            if self._client is client:  # else another question has failed first, and a new one may be there
                await self._disconnect()
            raise
        finally:
            self._questions -= 1

    async def _connect(self) -> ReaderClient:
        async with self._lock:
            if self._client is None:
                client = AiokafkaReader(self._settings, isolation_level="read_committed")
                try:
                    await client.start()
                except BaseException:
                    await client.stop(STOP_TIMEOUT_S)
                    raise
                self._client = client
            return self._client

    async def close(self) -> None:
        self._is_closed = True
        self._away.forget()
        await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.stop(STOP_TIMEOUT_S)
