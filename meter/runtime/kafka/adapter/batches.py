"""Goes on behind a record batch that aiokafka cannot read, instead of raising.

aiokafka reads a fetched partition in one generator; whatever it raises there ends the poll, at every start again, and
with it all other partitions. So that generator is wrapped: where it fails, the batch is read by `tolerant`, and a new
generator goes on with the next batch.
"""

import sys
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c

from meter.runtime.kafka.adapter.protocols import UnreadRecords
from meter.runtime.kafka.adapter.record_objects import MOST_TAKEN_BYTES, AsRead, EnoughError, complete, weigh
from meter.runtime.kafka.adapter.runs import Place, Run, WholeBatch
from meter.runtime.kafka.adapter.tolerant import HEAD_BYTES, MOST_RECORDS, read_batch, read_head

LENGTH: Final = Struct(">8xi")
LENGTH_END: Final = 12
MAGIC_AT: Final = 16
CRC_FROM: Final = 21


class TooManyRecordsError(Exception):
    """A batch has more records than a full batch of real events."""


class FetchedBatches:
    """The batches of a fetched partition, in place of aiokafka's `MemoryRecords`; keeps the bytes of the last one."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0
        self.packed = self._data[:0]
        self.next_offset = 0  # behind the last batch
        self.taken = 0  # bytes of the records that were delivered
        self.place: Place | None = None  # where runs are wanted: which records

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        """The last batch of a fetch may be cut off."""
        left = len(self._data) - self._at
        return left >= LENGTH_END and left >= self._next_bytes()

    def _next_bytes(self) -> int:
        """A length that leads backwards would never end: what is too short has its length and nothing else."""
        return LENGTH_END + max(0, int(LENGTH.unpack_from(self._data, self._at)[0]))

    def next_batch(self) -> Any:
        """Raises for a batch that cannot be read; `packed` and `next_offset` are those of the batch all the same."""
        end = self._at + self._next_bytes()
        self.packed, self._at = self._data[self._at : end], end
        head = read_head(self.packed)
        self.next_offset = head.next_offset
        if head.magic >= 2:
            if head.records > MOST_RECORDS:
                raise TooManyRecordsError(f"{head.records} records")
            batch = DefaultRecordBatch(self.packed)
            if self.place is None:
                return batch
            return WholeBatch(batch, head, self.packed, self.place, MOST_TAKEN_BYTES - self.taken)
        if len(self.packed) <= MAGIC_AT:
            raise ValueError(f"a batch of {len(self.packed)} bytes")
        return LegacyRecordBatch(self.packed, self.packed[MAGIC_AT])

    def is_whole(self) -> bool:
        """Whether the last batch is what its producer sent. The broker lets no other in, so the fault is on the way."""
        if len(self.packed) < HEAD_BYTES or self.packed[MAGIC_AT] < 2:
            return True
        return int(calc_crc32c(bytes(self.packed[CRC_FROM:]))) == read_head(self.packed).crc


_read: Final = PartitionRecords._unpack_records


def _read_on(self: Any) -> Iterator[Any]:
    """The records of a fetched partition. Raises only for bytes that were damaged behind the broker's check."""
    batches: FetchedBatches = self._records
    if type(self._key_deserializer) is AsRead:
        topic = self._tp.topic.removeprefix(self._key_deserializer.prefix)
        batches.place = Place(topic, self._tp.partition, self.next_fetch_offset)
    try:
        while True:
            try:
                yield from _read(self)
                return
            except EnoughError:
                raise
            except Exception as error:
                if not batches.is_whole():
                    raise
                cause = error
            yield from _read_tolerantly(self, batches, cause)
    except EnoughError:
        return  # the rest is fetched again


def _read_tolerantly(self: Any, batches: FetchedBatches, cause: Exception) -> Iterator[Any]:
    for record in read_batch(batches.packed, self.next_fetch_offset, cause):
        if batches.taken > MOST_TAKEN_BYTES:
            raise EnoughError
        batches.taken += weigh(record)
        self.next_fetch_offset = record.to_offset if isinstance(record, UnreadRecords) else record.offset + 1
        yield complete(self, self._tp, record)
    self.next_fetch_offset = max(self.next_fetch_offset, batches.next_offset)


def _iterate(self: Any) -> Iterator[Any]:
    """The generator itself; aiokafka's own iterator is one more call for every record."""
    iterator: Iterator[Any] = self._records_iterator
    return iterator


_take_one_by_one: Final = FetchResult.getall


def _take(self: Any, most: int | None = None) -> list[Any]:
    """Of what was fetched of a partition at most `most` records. A run that does not fit comes in parts."""
    source = self._partition_records
    if source is None or type(source._key_deserializer) is not AsRead:
        taken: list[Any] = _take_one_by_one(self, most)
        return taken
    if not self.check_assignment(self._topic_partition):
        source._records_iterator.close()  # it and its source hold each other, and an unpacked batch
        return []
    taken, self.waiting = list(self.waiting), ()
    if taken:
        source.next_fetch_offset = taken[-1].offset + 1  # where its run ended
    room = sys.maxsize if most is None else most
    while len(taken) < room:
        found = next(source._records_iterator, None)
        if found is None:
            self._update_position()
            self._partition_records = None
            return taken
        if type(found) is Run:
            taken += found.records
            found.records.clear()
        else:
            taken.append(found)
    if len(taken) > room:
        self.waiting = taken[room:]
        del taken[room:]
        source.next_fetch_offset = self.waiting[0].offset
    self._update_position()
    return taken


def _take_one(self: Any) -> Any:
    """aiokafka's `getone` would deliver runs."""
    return next(iter(_take(self, 1)), None)


def keep_reading() -> None:
    """Patch the classes that read fetched records. For the whole process; calling it again changes nothing."""
    for name in ("MemoryRecords", "PartitionRecords", "FetchResult"):
        if not hasattr(fetcher, name):
            raise RuntimeError(f"aiokafka has no {name} any more where it was: one bad batch would end the reading")
    fetcher.MemoryRecords = FetchedBatches
    PartitionRecords._unpack_records = _read_on
    PartitionRecords.__iter__ = _iterate
    FetchResult.waiting = ()  # records of a run that nobody has polled yet
    FetchResult.getall = _take
    FetchResult.getone = _take_one
