"""A fetched partition as aiokafka holds it until somebody polls, without a broker."""

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords

from meter.runtime.kafka.adapter.batches import FetchedBatches
from meter.runtime.kafka.adapter.patches import patch_aiokafka
from meter.runtime.kafka.adapter.record_objects import AsRead

READ_COMMITTED = 1


class FetchedPartition:
    """Record batches in the order of their offsets, asked for from offset `first` on."""

    def __init__(
        self, data: bytes, first: int = 0, *, deserializer: Any = None, topic: str = "usage", aborted: Any = ()
    ) -> None:
        patch_aiokafka()
        tp = TopicPartition(topic, 0)
        self.position = first
        state = SimpleNamespace(paused=False, position=first, consumed_to=self._consume_to)
        self._state = state
        assignment = SimpleNamespace(active=True, state_value=lambda _tp: state)
        records = PartitionRecords(
            tp, FetchedBatches(data), aborted, first, deserializer or AsRead(), None, True, READ_COMMITTED
        )
        self._result = FetchResult(tp, assignment=assignment, partition_records=records, backoff=0)

    def _consume_to(self, offset: int) -> None:
        self.position = self._state.position = offset

    @property
    def has_more(self) -> bool:
        return bool(self._result.has_more())

    def take(self, most: int | None = None) -> list[Any]:
        """What one poll gives."""
        found: list[Any] = self._result.getall(most)
        return found

    def take_all(self, most: int | None = None) -> list[Any]:
        """Poll by poll, to the end."""
        found = []
        while self.has_more:
            found += self.take(most)
        return found
