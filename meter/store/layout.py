"""Bytes of the event log: rows as binary COPY takes and gives them, which is also what the hash chain covers.

One encoding for both: the meter hashes what it copies in, `meter verify` what Postgres copies out, row after row
without a look inside. Rows are made by hand because the driver's encoder alone costs several times as much, and by
machine code where it is installed (`schemas/native`).

    COPY row: int2 columns, then per column  int4 length | value      (length -1: NULL)
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from struct import Struct, error
from types import ModuleType
from typing import Any, NamedTuple

from meter.runtime.errors import explain
from schemas.compiled import NATIVE
from schemas.identity import FIRST_UUID_KEY, KEY_BYTES
from schemas.records import Accepted

# The columns of meter.events in table order: the layout below, the COPY and the SQL that checks the chain follow it.
EVENT_COLUMNS = (
    "position",
    "amount",
    "kafka_offset",
    "occurred_at",
    "recorded_at",
    "event_id",
    "shard",
    "type",
    "resource",
    "account_id",
    "name",
    "source",
    "data",
    "extensions",
    "id",
    "event_key",
)
OLD_COLUMNS = EVENT_COLUMNS[:14]  # what chains of version 2 cover of an event
BYTEA, INT8, INT4, TIMESTAMPTZ = 17, 20, 23, 1184  # type oids, in record_send

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
CHAIN_VERSION = 4
GENESIS = bytes(32)
MAX_TEXTS = 10_000  # kept at most, then all are forgotten: some MB

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT = Struct("!i").pack
_NULL = _INT(-1)
_HEAD = Struct("!6sq4sq4sq4sq16s").pack  # position to event_id; what is the same in all rows comes as bytes
_INT8 = _INT(8)
_KEY = _INT(KEY_BYTES)
_BATCH = Struct("!i" + "iii" + "iiq" * 7 + "iii" * 3 + "iiq" * 2)
_END = Struct("!" + "iii" * 3)


class UnstorableError(Exception):
    """A value that has no place in its column: a lone surrogate, a number that is too large."""


class BatchHeader(NamedTuple):
    """The columns of meter.batches that the hash covers, in table order."""

    shard: int
    batch: int
    first_position: int
    last_position: int
    usage_from: int
    usage_to: int
    accounts_from: int
    accounts_to: int
    stored: int
    duplicates: int
    rejected: int
    gaps: int
    recorded_at: datetime
    evidence: bytes  # SHA-256 of its duplicates, rejections, gaps, what it sent on and what waits, those there are
    generation: int = 1
    rerouted: int = 0
    waiting: int = 0


def to_micros(moment: datetime) -> int:
    """Postgres's timestamptz: whole microseconds since 2000-01-01 UTC."""
    return (moment - _POSTGRES_EPOCH) // _MICROSECOND


def encode_rows(rows: Sequence[Accepted], shard: int, first_position: int, recorded_at: datetime) -> bytes:
    """A whole COPY stream of rows that take contiguous positions from `first_position`. Raises UnstorableError."""
    try:
        return _encode_compiled(rows, shard, first_position, recorded_at) or _encode_rows(
            rows, shard, first_position, recorded_at
        )
    except (ValueError, OverflowError, error) as fault:
        raise UnstorableError(explain(fault)) from fault


def _encode_compiled(rows: Sequence[Accepted], shard: int, first_position: int, recorded_at: datetime) -> bytes | None:
    """The same bytes by machine code; None where it is not there, and for rows that the Python code has to judge."""
    if NATIVE.module is None:
        return None
    try:
        stream: bytes = _encoder_of(NATIVE.module).encode(rows, shard, first_position, make_middle(recorded_at))
    except (TypeError, ValueError, OverflowError):
        return None
    return stream


@lru_cache(1)
def _encoder_of(module: ModuleType) -> Any:
    return module.RowEncoder(
        header=COPY_HEADER,
        trailer=COPY_TRAILER,
        start=start_row(CHAIN_VERSION),
        first_uuid_key=FIRST_UUID_KEY,
        epoch=_POSTGRES_EPOCH,
    )


def make_middle(recorded_at: datetime) -> bytes:
    """What follows the first time of a row: `recorded_at`, and `event_id`, which is null since events have a key."""
    return Struct("!iqi").pack(8, to_micros(recorded_at), -1)


def _encode_rows(rows: Sequence[Accepted], shard: int, first_position: int, recorded_at: datetime) -> bytes:
    middle = make_middle(recorded_at)
    head, texts, kinds, key_length = _HEAD, _texts, _Kinds(shard), _KEY
    start, int8, length, null, epoch = start_row(CHAIN_VERSION), _INT8, _INT, _NULL, _POSTGRES_EPOCH
    first_uuid_key, uuid_end = FIRST_UUID_KEY, _NULL + _NULL + _KEY
    parts: list[bytes] = [COPY_HEADER]
    for position, row in enumerate(rows, first_position):
        _topic, offset, id, account_id, kind, resource, amount, name, occurred_at, source, text, extensions, key = row
        since = occurred_at - epoch
        micros = since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
        data = text.encode()
        if extensions is None and key >= first_uuid_key:
            end = uuid_end  # of nearly all rows; the id is null because a UUID already begins the key
        else:
            more = null if extensions is None else encode_text(extensions)
            end = more + (null if key >= first_uuid_key else encode_text(id)) + key_length
        parts += (
            head(start, position, int8, amount, int8, offset, int8, micros, middle),
            kinds[kind, resource], texts[account_id], texts[name], texts[source], length(len(data)), data, end, key,
        )  # fmt: skip
    parts.append(COPY_TRAILER)
    return b"".join(parts)


def encode_text(text: str) -> bytes:
    value = text.encode()
    return _INT(len(value)) + value


class _Texts(dict[str, bytes]):
    """Fields of accounts, names and sources, kept from batch to batch because they repeat."""

    def __missing__(self, text: str) -> bytes:
        if len(self) >= MAX_TEXTS:
            self.clear()
        field = self[text] = encode_text(text)
        return field


_texts = _Texts()


class _Kinds(dict[tuple[int, int | None], bytes]):
    """The fields shard, type and resource, by type and resource."""

    def __init__(self, shard: int) -> None:
        self._shard = shard

    def __missing__(self, key: tuple[int, int | None]) -> bytes:
        kind, resource = key
        last = _NULL if resource is None else Struct("!ih").pack(2, resource)
        field = self[key] = Struct("!iiih").pack(4, self._shard, 2, kind) + last
        return field


def rows_of(stream: bytes) -> memoryview:
    """What the chain covers of a COPY stream: its rows, without what frames them."""
    return memoryview(stream)[len(COPY_HEADER) : -len(COPY_TRAILER)]


def start_row(version: int) -> bytes:
    """How every row begins that a chain of this version covers: the number of columns, the length of the first."""
    return Struct("!hi").pack(len(OLD_COLUMNS if version == 2 else EVENT_COLUMNS), 8)


def mark_row(position: int, version: int = CHAIN_VERSION) -> bytes:
    """How the row with this position begins, in a stream."""
    return start_row(version) + Struct("!qi").pack(position, 8)


def chain_hash(previous: bytes, header: BatchHeader, rows: bytes | memoryview) -> bytes:
    """The hash of a batch: sha256(version ‖ hash of the batch before ‖ the batch's own columns ‖ its rows).

    `header.evidence` is computed by the statements that append duplicates, rejections and gaps: Postgres knows the
    rejections' numbers.
    """
    digest = sha256(bytes([CHAIN_VERSION]) + previous)
    digest.update(encode_header(header))
    digest.update(rows)
    return digest.digest()


def encode_header(header: BatchHeader) -> bytes:
    """record_send of the batch's columns."""
    sizes = ((INT4, 4), *((INT8, 8),) * 7, *((INT4, 4),) * 3, (INT8, 8), (TIMESTAMPTZ, 8))
    values = (*header[:12], to_micros(header.recorded_at))
    fields = [part for (oid, size), value in zip(sizes, values, strict=True) for part in (oid, size, value)]
    evidence = Struct("!ii").pack(BYTEA, len(header.evidence)) + header.evidence
    end = _END.pack(INT4, 4, header.generation, INT4, 4, header.rerouted, INT4, 4, header.waiting)
    return _BATCH.pack(len(header), *fields) + evidence + end
