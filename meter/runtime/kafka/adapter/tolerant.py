"""Reads a record batch that aiokafka cannot read, record by record: what is sound comes out as it was sent.

Pure. The format is Kafka's record batch of version 2. Its head says which offsets the batch holds, whatever is inside.
"""

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from meter.runtime.errors import explain
from meter.runtime.kafka.adapter.codecs import BY_NUMBER, read_varint
from meter.runtime.kafka.adapter.protocols import Headers, UnreadRecords
from schemas.reasons import Reason
from schemas.records import MAX_EVENT_BYTES

# Of a batch or a record that cannot be read, this much is kept.
KEPT_BYTES: Final = MAX_EVENT_BYTES
# A CloudEvent has some ten.
MOST_HEADERS: Final = 256
# An event of the most bytes, its key and the lengths before its fields.
MOST_RECORD_BYTES: Final = MAX_EVENT_BYTES + 4096
# A batch of the most bytes has fewer records than this, unless they are too small to be events.
MOST_RECORDS: Final = 65_536
MAX_DETAIL_CHARS: Final = 300

_FORMAT: Final = Struct(">qiibIhiqqqhii")
HEAD_BYTES: Final = _FORMAT.size
_OFFSET: Final = Struct(">q")
_LOG_APPEND_TIME: Final = 0x08
CODEC: Final = 0x07


class SoundRecord(NamedTuple):
    """A record with the fields of aiokafka's own."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_type: int
    checksum: None = None


class UnreadableError(Exception):
    """A record cannot be read, or has more than is read of a record."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class BatchHead(NamedTuple):
    """The fixed part at the beginning of a batch."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def timestamp_type(self) -> int:
        return int(bool(self.attributes & _LOG_APPEND_TIME))

    def timestamp(self, delta: int) -> int:
        """In 64 bits, as the broker and all clients add it up: a sum beyond them goes round, and is taken."""
        return self.max_timestamp if self.attributes & _LOG_APPEND_TIME else to_int64(self.first_timestamp + delta)

    def offset(self, index: int, delta: int) -> int:
        """Without holes the place in the batch tells the offset, whatever the record says. Raises UnreadableError."""
        if self.records == self.last_offset_delta + 1:
            return self.base_offset + index
        if not 0 <= delta <= self.last_offset_delta:
            raise UnreadableError(Reason.UNDECODABLE, f"a record says that it is {delta} offsets behind the first")
        return self.base_offset + delta


def to_int64(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def read_head(packed: memoryview) -> BatchHead:
    """The head of a batch; of one too short for it, or of an older version, as much as can be known."""
    if len(packed) >= HEAD_BYTES:
        head = BatchHead(*_FORMAT.unpack_from(packed))
        if head.magic >= 2 and head.last_offset_delta >= 0:
            return head
    [offset] = _OFFSET.unpack_from(packed)
    return BatchHead(offset, len(packed), -1, 0, 0, 0, 0, -1, -1, -1, -1, -1, 0)


def read_batch(packed: memoryview, first: int, cause: Exception) -> Iterator[SoundRecord | UnreadRecords]:
    """The records from offset `first` on, in the order of their offsets; `cause` is what aiokafka said of the batch.

    Every offset up to the batch's last is covered when the batch has no holes. Never raises.
    """
    head = read_head(packed)
    at = first
    try:
        for record in read_records(head, packed):
            if record.offset >= at:
                yield record
                at = record.to_offset if isinstance(record, UnreadRecords) else record.offset + 1
    except Exception as error:
        if at < head.next_offset:
            why = explain(error if error.args else cause)
            yield unread_batch(head, packed, at, error, why)


def read_records(head: BatchHead, packed: memoryview) -> Iterator[SoundRecord | UnreadRecords]:
    """Raises where the next record cannot be found."""
    if head.magic < 2:
        raise UnreadableError(Reason.UNDECODABLE, "")
    if head.records > MOST_RECORDS:
        raise UnreadableError(Reason.UNDECODABLE, f"{head.records} records, more than {MOST_RECORDS}")
    unpack = BY_NUMBER.get(head.attributes & CODEC)
    if unpack is None:
        raise UnreadableError(Reason.UNDECODABLE, f"compression {head.attributes & CODEC} is not known")
    body = memoryview(unpack(packed[HEAD_BYTES:]))
    at, before = 0, -1
    for index in range(head.records):
        length, at = read_varint(body, at)
        if not 0 < length <= len(body) - at:
            raise UnreadableError(Reason.UNDECODABLE, f"record {index} has {length} bytes of {len(body) - at}")
        record = read_record(head, index, body[at : at + length])
        if record.offset <= before:
            raise UnreadableError(Reason.UNDECODABLE, f"record {index} is behind the one before it")
        yield record
        at, before = at + length, record.offset


def read_record(head: BatchHead, index: int, data: memoryview) -> SoundRecord | UnreadRecords:
    """One record of a batch. What is wrong inside costs the record alone; raises where its offset cannot be known."""
    times, at = read_varint(data, 1)
    delta, at = read_varint(data, at)
    offset, timestamp = head.offset(index, delta), head.timestamp(times)
    key = value = None
    try:
        key, at = read_bytes(data, at)
        value, at = read_bytes(data, at)
        headers = read_headers(data, at)
    except (IndexError, ValueError, UnreadableError) as error:
        reason = error.reason if isinstance(error, UnreadableError) else Reason.UNDECODABLE
        return unread_record(offset, timestamp, key, value, data, reason, explain(error))
    return SoundRecord(offset, timestamp, as_bytes(key), as_bytes(value), headers, head.timestamp_type)


def read_bytes(data: memoryview, at: int) -> tuple[memoryview | None, int]:
    """Bytes with their length before them; a negative length is null. Raises ValueError."""
    length, at = read_varint(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise ValueError(f"{length} bytes are named, {len(data) - at} are there")
    return data[at : at + length], at + length


def read_headers(data: memoryview, at: int) -> Headers:
    """The headers of a record that is not too large, up to its end. Raises UnreadableError, IndexError, ValueError."""
    if len(data) > MOST_RECORD_BYTES:
        raise UnreadableError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {MAX_EVENT_BYTES}")
    count, at = read_varint(data, at)
    if count > MOST_HEADERS:
        raise UnreadableError(Reason.TOO_LARGE, f"{count} headers, at most {MOST_HEADERS}")
    if count < 0:
        raise ValueError(f"{count} headers")
    headers = []
    for _ in range(count):
        name, at = read_bytes(data, at)
        value, at = read_bytes(data, at)
        if name is None:
            raise ValueError("a header without a name")
        headers.append((bytes(name).decode("utf-8", "backslashreplace"), as_bytes(value)))
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes behind the record's end")
    return headers  # type: ignore[return-value]  # a header's value may be null


def as_bytes(data: memoryview | None) -> bytes | None:
    return None if data is None else bytes(data)


def unread_record(
    offset: int,
    timestamp: int,
    key: memoryview | None,
    value: memoryview | None,
    data: memoryview,
    reason: Reason,
    detail: str,
) -> UnreadRecords:
    """What stands for one record: its key and the beginning of its value, or of its bytes where it has none."""
    kept_key = None if key is None else bytes(key[:KEPT_BYTES])
    kept = bytes((data if value is None else value)[: KEPT_BYTES - len(kept_key or b"")])
    return UnreadRecords(
        offset, offset + 1, timestamp, kept_key, kept, reason, detail[:MAX_DETAIL_CHARS], len(data),
        sha256(data).digest(),
    )  # fmt: skip


def unread_batch(head: BatchHead, packed: memoryview, first: int, error: Exception, why: str) -> UnreadRecords:
    """What stands for the records of a batch from `first` on: its packed bytes."""
    reason = error.reason if isinstance(error, UnreadableError) else Reason.UNDECODABLE
    detail = f"the record batch at offsets {head.base_offset} to {head.next_offset - 1}: {why}"[:MAX_DETAIL_CHARS]
    return UnreadRecords(
        first, head.next_offset, head.max_timestamp, None, bytes(packed[:KEPT_BYTES]), reason, detail, len(packed),
        sha256(packed).digest(),
    )  # fmt: skip
