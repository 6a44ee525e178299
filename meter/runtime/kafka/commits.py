"""Kafka's own committed offsets: for lag tools, never read by the services."""

import asyncio
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors

log = structlog.get_logger(component="kafka_commits")

COMMIT_TIMEOUT_S = 5
COMMIT_PAUSE_S = 1.0
FLUSH_TIMEOUT_S = 1.0


class Commits:
    """Best effort, at most once a second, in the background; never raises."""

    def __init__(self) -> None:
        self._offsets: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._next = 0.0

    def note(self, name: str, partition: int, offset: int) -> None:
        self._offsets[TopicPartition(name, partition)] = offset

    def forget(self) -> None:
        """Partitions were revoked: their offsets are others' to commit."""
        self._offsets.clear()

    def turn(self, consumer: Any) -> None:
        """Commit what was noted, if it is time."""
        now = asyncio.get_running_loop().time()
        if self._offsets and self._task is None and now >= self._next:
            self._next = now + COMMIT_PAUSE_S
            self._task = asyncio.create_task(self._commit(consumer))
            self._task.add_done_callback(self._ended)

    async def flush(self, consumer: Any) -> None:
        """Commit what is left, within FLUSH_TIMEOUT_S."""
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                if self._task is not None:
                    await asyncio.wait({self._task})
                if self._offsets:
                    await self._commit(consumer)
        except TimeoutError:
            log.info("kafka_commit_failed", reason="TimeoutError")

    async def _commit(self, consumer: Any) -> None:
        offsets, self._offsets = self._offsets, {}
        held = consumer.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in held}
        try:
            if offsets:
                async with asyncio.timeout(COMMIT_TIMEOUT_S):
                    await consumer.commit(offsets)
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            log.info("kafka_commit_failed", reason=type(error).__name__)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("kafka_commit_failed", reason=type(error).__name__, detail=str(error))
