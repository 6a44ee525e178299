"""Shards that cannot be positioned because a partition of theirs does not say where it begins and ends.

They are asked again beside the loop, so the other shards do not wait for a leader that is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.asking import Answers
from meter.runtime.kafka.failures import describe
from meter.runtime.log import get_logger

log = get_logger("kafka_away")
AGAIN_S: Final = 5.0

AskAgain = Callable[[Collection[TopicPartition]], Awaitable[Answers[Any]]]


class Away:
    """By partition why it is silent; empty while all are there. `back` is called when one answers again."""

    def __init__(self, back: Callable[[], None]) -> None:
        self.silent: dict[TopicPartition, str] = {}
        self._back = back
        self._task: asyncio.Task[None] | None = None

    @property
    def shards(self) -> frozenset[int]:
        return frozenset(tp.partition for tp in self.silent)

    def note(self, silent: Mapping[TopicPartition, str], ask: AskAgain) -> None:
        """These did not answer: ask them until they do."""
        if not silent:
            return
        for tp, reason in silent.items():
            log.info("partition_silent", topic=tp.topic, partition=tp.partition, detail=reason)
        self.silent.update(silent)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask_again(ask))

    def forget(self) -> None:
        """The partitions are no longer ours, or the consumer stops."""
        self.silent.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _ask_again(self, ask: AskAgain) -> None:
        while self.silent:
            await asyncio.sleep(AGAIN_S)
            asked = list(self.silent)
            try:
                silent = (await ask(asked)).silent
            except Exception as error:
                # It does not pass: the loop asks next, and raises it.
                log.info("partition_silent", detail=describe(error))
                silent = {}
            answering = [tp for tp in asked if tp not in silent]
            for tp in answering:
                self.silent.pop(tp, None)
                log.info("partition_answers", topic=tp.topic, partition=tp.partition)
            if answering:
                self._back()
