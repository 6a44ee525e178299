"""A Kafka of lists: partitions in order, offsets without gaps, and what the consumer groups have committed."""

from collections import defaultdict
from collections.abc import Sequence

from schemas.records import Record

Place = tuple[str, int]  # topic and partition
NO_HEADERS: tuple[tuple[str, bytes], ...] = ()


class Broker:
    def __init__(self) -> None:
        self.logs: defaultdict[Place, list[Record]] = defaultdict(list)
        self.committed: dict[Place, int] = {}

    def append(
        self,
        topic: str,
        partition: int,
        key: str,
        value: bytes,
        headers: Sequence[tuple[str, bytes]] = NO_HEADERS,
        timestamp_ms: int = 0,
    ) -> int:
        log = self.logs[topic, partition]
        log.append(Record(topic, partition, len(log), timestamp_ms, key.encode(), value, headers))
        return len(log) - 1

    def end(self, topic: str, partition: int) -> int:
        return len(self.logs[topic, partition])

    def read(self, topic: str, partition: int, offset: int, most: int) -> list[Record]:
        return self.logs[topic, partition][offset : offset + most]

    def commit(self, topic: str, partition: int, offset: int) -> None:
        self.committed[topic, partition] = offset
