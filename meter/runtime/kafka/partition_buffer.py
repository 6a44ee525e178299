"""What one consumer holds of one partition: pure bookkeeping of offsets, no IO.

The rules against lost records live here.

A partition's numbers, in ascending order: `stored` (next offset in the database), `handed` (end of the batch that is
being stored), `next` (next offset wanted from Kafka; what lies between is in the buffer).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import accumulate
from typing import Protocol

from schemas.records import Record


class RawRecord(Protocol):
    """The fields that the client's records and `ConsumerRecord` have in common, as far as they are used."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


# What a record takes beside its bytes: a tuple, two bytes objects, two integers.
RECORD_BYTES = 256


def weigh(records: Iterable[Record]) -> list[int]:
    """Bytes of memory that each record takes, roughly (0.2 µs a record)."""
    return [
        RECORD_BYTES + len(key or b"") + len(value or b"") + (weigh_headers(headers) if headers else 0)
        for _, _, _, _, key, value, headers in records
    ]


def weigh_headers(headers: Iterable[tuple[str, bytes]]) -> int:
    size = 0
    for name, value in headers:  # a quarter of what a sum over a generator takes
        size += len(name) + len(value or b"")
    return size


class Verdict(Enum):
    TAKEN = "taken"
    SEEK = "seek"
    NOTHING_NEW = "nothing_new"


class Feed:
    """Records of one partition between the broker and the database."""

    __slots__ = (
        "_gap_asked", "buffer", "handed", "next", "partition", "position", "size", "stored", "topic", "weights",
    )  # fmt: skip

    def __init__(self, topic: str, partition: int, stored: int) -> None:
        self.topic = topic
        self.partition = partition
        self.stored = stored
        self.handed = stored
        self.next = stored
        self.position = stored
        self.buffer: list[Record] = []
        self.weights: list[int] = []  # of the buffer's records, as `weigh` has them
        self.size = 0  # their sum
        self._gap_asked = -1

    def skip_to(self, offset: int) -> None:
        """The broker's first record is here (retention): what lies before becomes a gap of the next batch."""
        self.next = max(self.next, offset)
        self.position = self.next

    def offer(self, raw: Sequence[RawRecord], position: int) -> Verdict:
        """Take a run of records that the client gave; `position` is the client's next offset after them.

        Below what is wanted: trimmed, it was here before. Above: `getmany` may have drained and lost a part, so the
        caller seeks back to `next`, once; if the broker itself starts above, these offsets are a gap (transaction
        markers, retention) and the records are taken.
        """
        first = raw[0].offset
        if first > self.next and self._gap_asked != self.next:
            self._gap_asked = self.next
            return Verdict.SEEK
        if first < self.next:
            raw = [record for record in raw if record.offset >= self.next]
            if not raw:
                return Verdict.NOTHING_NEW
        self._append(raw)
        self.next = max(raw[-1].offset + 1, position)
        self.position = self.next
        self._gap_asked = -1
        return Verdict.TAKEN

    def _append(self, raw: Sequence[RawRecord]) -> None:
        # tuple.__new__ skips the keyword handling of the generated __new__: 0.2 µs less per record.
        new, kind, topic, partition = tuple.__new__, Record, self.topic, self.partition
        records = [new(kind, (topic, partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))) for r in raw]
        weights = weigh(records)
        self.buffer += records
        self.weights += weights
        self.size += sum(weights)

    def take(self, most: int, most_bytes: int) -> list[Record]:
        """Hand out at most so many records and bytes; `handed` moves to the offset that must be stored with them.

        A single record that is larger than all that is allowed goes alone: it must not block the shard.
        """
        if len(self.buffer) <= most and self.size <= most_bytes:
            records, self.buffer, self.weights, self.size = self.buffer, [], [], 0
            self.handed = self.next
            return records
        ends = list(accumulate(self.weights[:most]))
        count = bisect_right(ends, most_bytes) or min(1, most, most_bytes)
        records, self.buffer = self.buffer[:count], self.buffer[count:]
        self.weights = self.weights[count:]
        self.size -= ends[count - 1] if count else 0
        self.handed = self.buffer[0].offset if self.buffer else self.next
        return records

    def store(self, offset: int) -> None:
        """The database now expects `offset` next."""
        self.stored = offset

    def lag(self, end: int | None) -> int:
        """Offsets not yet stored, given the broker's end offset. Markers behind the last record are no lag."""
        if self.buffer or self.handed > self.stored:
            return max((end or self.next) - self.stored, 1)
        return max((end or 0) - max(self.position, self.next), 0)
