"""Reads the records of a whole batch at once, by machine code, where it is installed (`schemas/native`).

One after the other they cost aiokafka's object, its generator, the looks of `record_objects` and the record that the
services know: two fifths of what the meter did with an event. What is not plain to the last byte is left to those.
"""

from collections.abc import Generator, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any, Final, NamedTuple

from meter.runtime.kafka.adapter.codecs import BY_NUMBER
from meter.runtime.kafka.adapter.protocols import HEADER_BYTES, RECORD_BYTES
from meter.runtime.kafka.adapter.tolerant import (
    CODEC,
    HEAD_BYTES,
    MOST_HEADERS,
    MOST_RECORD_BYTES,
    BatchHead,
    UnreadableError,
)
from schemas.compiled import NATIVE
from schemas.reasons import Reason
from schemas.records import Record

# What a run takes may wait in memory until it is polled, of every partition, beside the body of its batch.
MOST_RUN_BYTES: Final = 4 * 1024 * 1024


class Run(NamedTuple):
    """Records of one batch that follow one another, in place of one record of aiokafka's."""

    first: int
    offset: int  # of the last one: aiokafka goes on behind it
    records: list[Record]  # whoever takes them empties it: aiokafka's generator holds the run until the next one
    size: int  # bytes of their keys, values and headers


class Place(NamedTuple):
    """Which records are read: of this logical topic and partition, from this offset on."""

    topic: str
    partition: int
    first: int


class _Wanted(NamedTuple):
    topic: str
    partition: int
    base_offset: int
    records: int
    first_timestamp: int
    append_time: int | None
    first: int
    most_bytes: int
    done: int = 0  # how many records were read before
    at: int = 0  # where the next one begins


class WholeBatch:
    """aiokafka's batch, in all but what it gives: runs as far as that can be, then one record after the other."""

    def __init__(self, batch: Any, head: BatchHead, packed: memoryview, place: Place, room: int) -> None:
        """`room`: bytes that may still be delivered."""
        self._batch, self._head, self._packed, self._place, self._room = batch, head, packed, place, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # of a control batch

    def __iter__(self) -> Iterator[Any]:
        head = self._head
        if (yield from read_runs(head, self._packed, self._place, self._room)):
            return
        # aiokafka leaves out what lies before its next offset: a record that says so of itself, too.
        if head.records != head.last_offset_delta + 1:
            yield from self._batch
            return
        for offset, record in enumerate(self._batch, head.base_offset):
            if record.offset != offset:
                raise UnreadableError(Reason.UNDECODABLE, "a record says another offset than its own")
            yield record


def read_runs(head: BatchHead, packed: memoryview, place: Place, room: int) -> Generator[Run, None, bool]:
    """The records of a batch from `place.first` on, of `room` bytes. Returns whether these are all; else others must
    go on, from the first that no run has. Raises what unpacking raises."""
    unpack = BY_NUMBER.get(head.attributes & CODEC)
    if NATIVE.module is None or unpack is None or head.records != head.last_offset_delta + 1:
        return False
    reader = _reader_of(NATIVE.module)
    body = unpack(packed[HEAD_BYTES:])
    wanted = _Wanted(
        place.topic,
        place.partition,
        head.base_offset,
        head.records,
        head.first_timestamp,
        head.max_timestamp if head.timestamp_type else None,
        place.first,
        min(room, MOST_RUN_BYTES),
    )
    while wanted.done < head.records:
        try:
            found = reader.read(body, wanted)
        except Exception:  # a fault of its own
            return False
        if found is None:
            return False
        records, size, done, at = found
        if done == head.records:
            body = b""  # aiokafka may stand here until the partition is polled again
        if records:
            yield Run(max(head.base_offset + wanted.done, place.first), head.base_offset + done - 1, records, size)
        room -= size
        wanted = wanted._replace(done=done, at=at, most_bytes=min(room, MOST_RUN_BYTES))
    return True


@lru_cache(1)
def _reader_of(module: ModuleType) -> Any:
    return module.BatchReader(
        record=Record,
        most_record_bytes=MOST_RECORD_BYTES,
        most_headers=MOST_HEADERS,
        record_bytes=RECORD_BYTES,
        header_bytes=HEADER_BYTES,
    )
