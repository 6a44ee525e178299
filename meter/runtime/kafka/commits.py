"""Kafka's own committed offsets: for lag tools, and to notice a database that went back in time (`history.py`)."""

import asyncio

from meter.runtime.errors import explain
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.log import get_logger

log = get_logger("kafka_commits")

COMMIT_TIMEOUT_S = 5
COMMIT_PAUSE_S = 1.0
FLUSH_TIMEOUT_S = 1.0


class Commits:
    """Commits in the background, at most once a second. A commit that fails is logged and not repeated."""

    def __init__(self) -> None:
        self._offsets: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._next = 0.0

    def note(self, name: str, partition: int, offset: int) -> None:
        """Have `offset` committed with the next commit. `name` is the topic's name on the broker."""
        self._offsets[TopicPartition(name, partition)] = offset

    def forget(self) -> None:
        """Partitions were revoked: their next owners commit."""
        self._offsets.clear()

    def commit_if_due(self, client: ConsumerClient) -> None:
        """Start a commit of what was noted, unless one runs or the last one began less than a second ago."""
        now = asyncio.get_running_loop().time()
        if self._offsets and self._task is None and now >= self._next:
            self._next = now + COMMIT_PAUSE_S
            self._task = asyncio.create_task(self._commit(client))
            self._task.add_done_callback(self._ended)

    async def flush(self, client: ConsumerClient) -> None:
        """Commit what is left, within FLUSH_TIMEOUT_S."""
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                if self._task is not None:
                    await asyncio.wait({self._task})
                if self._offsets:
                    await self._commit(client)
        except TimeoutError as error:
            log.info("kafka_commit_failed", detail=explain(error))

    async def _commit(self, client: ConsumerClient) -> None:
        offsets, self._offsets = self._offsets, {}
        held = client.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in held}
        try:
            if offsets:
                async with asyncio.timeout(COMMIT_TIMEOUT_S):
                    await client.commit(offsets)
        except Exception as error:  # whatever it is: nothing depends on it, and a stop must come to its end
            log.info("kafka_commit_failed", detail=explain(error))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("kafka_commit_failed", detail=explain(error))
