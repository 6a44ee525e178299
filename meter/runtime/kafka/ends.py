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
from meter.runtime.settings import Settings

STOP_TIMEOUT_S: Final = 2.0
# So long one that was silent counts as silent without being asked: its question holds up whoever waits for the others.
SILENT_S: Final = 5.0


class EndsReader:
    """Connects at the first question, and anew at the first one after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: ReaderClient | None = None
        self._lock = asyncio.Lock()
        self._silent: dict[TopicPartition, tuple[float, str]] = {}  # until when, and why

    async def fetch(self, partitions: Collection[TopicPartition]) -> Answers[int]:
        """Of each the end of what is committed, or why it has no answer. Raises what the client raises as it
        connects."""
        now = asyncio.get_running_loop().time()
        silent = {tp: self._silent[tp][1] for tp in partitions if tp in self._silent and self._silent[tp][0] > now}
        answers = await self._ask([tp for tp in partitions if tp not in silent])
        for tp in answers.found:
            self._silent.pop(tp, None)
        until = asyncio.get_running_loop().time() + SILENT_S
        self._silent |= {tp: (until, reason) for tp, reason in answers.silent.items()}
        return Answers(answers.found, answers.silent | silent)

    async def _ask(self, partitions: Collection[TopicPartition]) -> Answers[int]:
        async with self._asking() as client:
            answers = await ask_each(client.end_offsets, partitions)
        if answers.silent and not answers.found:
            await self.close()  # a new connection may find other brokers
        return answers

    async def describe(self, name: str) -> TopicInfo | None:
        """None: there is no such topic. Raises what the client raises."""
        async with self._asking() as client:
            return await client.describe_topic(name)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[ReaderClient]:
        client = await self._connect()
        try:
            yield client
        except BaseException:
            if self._client is client:  # else another question has failed first, and a new one may be there
                await self.close()
            raise

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
        client, self._client = self._client, None
        if client is not None:
            await client.stop(STOP_TIMEOUT_S)
