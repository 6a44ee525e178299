"""Where partitions end, asked over a connection of its own.

A broker answers one request of a connection after the other: behind a fetch that waits for records a question waits as
long, several times for each batch with a correction: under faults a backlog grew then that should have shrunk.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

from meter.runtime.kafka.adapter.consumer import AiokafkaReader
from meter.runtime.kafka.adapter.protocols import ReaderClient, TopicInfo, TopicPartition
from meter.runtime.settings import Settings

STOP_TIMEOUT_S: Final = 2.0


class EndsReader:
    """Connects at the first question, and anew at the first one after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: ReaderClient | None = None
        self._lock = asyncio.Lock()

    async def fetch(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Of each the end of what is committed. Raises what the client raises."""
        async with self._asking() as client:
            return await client.end_offsets(partitions)

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
