"""Bytes of the event log: rows as binary COPY takes them, and the same rows as the hash chain covers them.

The chain hashes what Postgres's `record_send(ROW(...))` gives, one C call per row, so that SQL can check millions of
rows a second. Both forms hold the same fields behind different heads; they are made here in one pass, by hand, because
the driver's row encoder alone costs more than everything else a row needs (about 5 µs against 2 µs).

    COPY row:    int2 columns, then per column  int4 length | value      (length -1: NULL)
    record_send: int4 columns, then per column  int4 type oid | int4 length | value
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct, error
from typing import NamedTuple

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
)
INT8, INT4, INT2, TIMESTAMPTZ, UUID, TEXT = 20, 23, 21, 1184, 2950, 25

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
CHAIN_VERSION = b"\x01"
GENESIS = bytes(32)

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT = Struct("!i").pack
_TWO_INTS = Struct("!ii").pack
_NULL = _INT(-1)
_BATCH = Struct("!i" + "iii" + "iiq" * 7 + "iii" * 3 + "iiq" * 2)


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


class EncodedRows(NamedTuple):
    copy: bytes  # a whole binary COPY stream
    records: bytes  # record_send of each row, in order of position


def to_micros(moment: datetime) -> int:
    """Postgres's timestamptz: whole microseconds since 2000-01-01 UTC."""
    return (moment - _POSTGRES_EPOCH) // _MICROSECOND


class RowHead(NamedTuple):
    """The part of a row before its texts. What is the same in all rows of a batch is one constant, packed once."""

    start: bytes  # column count, head of position
    field: bytes  # head of amount and of kafka_offset
    time: bytes  # head of occurred_at
    middle: bytes  # recorded_at, head of event_id
    pack: Callable[..., bytes]

    @classmethod
    def of(cls, count: bytes, head: Callable[[int, int], bytes], recorded: int) -> "RowHead":
        int8, time = head(INT8, 8), head(TIMESTAMPTZ, 8)
        middle = time + Struct("!q").pack(recorded) + head(UUID, 16)
        start = count + int8
        layout = f"!{len(start)}sq" + f"{len(int8)}sq" * 3 + f"{len(middle)}s16s"
        return cls(start, int8, time, middle, Struct(layout).pack)


def encode_rows(rows: Sequence[Accepted], shard: int, first_position: int, recorded_at: datetime) -> EncodedRows:
    """Encode rows that take contiguous positions from `first_position`. Raises UnstorableError."""
    try:
        return _encode_rows(rows, shard, first_position, recorded_at)
    except (ValueError, OverflowError, error) as fault:
        raise UnstorableError(str(fault)) from fault


def _encode_rows(rows: Sequence[Accepted], shard: int, first_position: int, recorded_at: datetime) -> EncodedRows:
    recorded = to_micros(recorded_at)
    columns = len(EVENT_COLUMNS)
    c_start, c_field, c_time, c_middle, c_pack = RowHead.of(
        Struct("!h").pack(columns), lambda _oid, n: _INT(n), recorded
    )
    h_start, h_field, h_time, h_middle, h_pack = RowHead.of(_INT(columns), _TWO_INTS, recorded)
    ids = bytes.fromhex("".join([row.event_id for row in rows]).replace("-", ""))
    texts, kinds = _Texts(), _Kinds(shard)
    oid, length, null, epoch = _INT(TEXT), _INT, _NULL, _POSTGRES_EPOCH
    copy: list[bytes] = [COPY_HEADER]
    records: list[bytes] = []
    at = 0
    for position, row in enumerate(rows, first_position):
        since = row.occurred_at - epoch
        occurred = since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
        event_id = ids[at : at + 16]
        at += 16
        amount, offset = row.amount, row.offset
        c_kind, h_kind = kinds[row.type, row.resource]
        c_account, h_account = texts[row.account_id]
        c_name, h_name = texts[row.name]
        c_source, h_source = texts[row.source]
        data = row.data.encode()
        size = length(len(data))
        extensions = null if row.extensions is None else texts[row.extensions][0]
        copy += (
            c_pack(c_start, position, c_field, amount, c_field, offset, c_time, occurred, c_middle, event_id),
            c_kind, c_account, c_name, c_source, size, data, extensions,
        )  # fmt: skip
        records += (
            h_pack(h_start, position, h_field, amount, h_field, offset, h_time, occurred, h_middle, event_id),
            h_kind, h_account, h_name, h_source, oid, size, data, oid, extensions,
        )  # fmt: skip
    copy.append(COPY_TRAILER)
    return EncodedRows(b"".join(copy), b"".join(records))


class _Texts(dict[str, tuple[bytes, bytes]]):
    """Text fields in both forms, kept for the batch: accounts, names and sources repeat."""

    def __missing__(self, text: str) -> tuple[bytes, bytes]:
        value = text.encode()
        copy = _INT(len(value)) + value
        field = self[text] = (copy, _INT(TEXT) + copy)
        return field


class _Kinds(dict[tuple[int, int | None], tuple[bytes, bytes]]):
    """The fields shard, type and resource in both forms, by type and resource."""

    def __init__(self, shard: int) -> None:
        self._shard = shard

    def __missing__(self, key: tuple[int, int | None]) -> tuple[bytes, bytes]:
        kind, resource = key
        values = [
            (INT4, Struct("!ii").pack(4, self._shard)),
            (INT2, Struct("!ih").pack(2, kind)),
            (INT2, _NULL if resource is None else Struct("!ih").pack(2, resource)),
        ]
        field = self[key] = (b"".join(v for _, v in values), b"".join(_INT(oid) + v for oid, v in values))
        return field


def chain_hash(previous: bytes, header: BatchHeader, records: bytes, evidence: bytes = b"") -> bytes:
    """The hash of a batch: sha256(version ‖ hash of the batch before ‖ the batch's own columns ‖ its rows ‖ evidence).

    `evidence` is the SHA-256 of its duplicates, of its rejections and of its gaps (those there are, in this order; the
    columns say which), computed by the statements that append them: Postgres knows the rejections' numbers.
    """
    digest = sha256(CHAIN_VERSION + previous)
    digest.update(encode_header(header))
    digest.update(records)
    digest.update(evidence)
    return digest.digest()


def encode_header(header: BatchHeader) -> bytes:
    """record_send of the batch's columns."""
    sizes = ((INT4, 4), *((INT8, 8),) * 7, *((INT4, 4),) * 3, (INT8, 8), (TIMESTAMPTZ, 8))
    values = (*header[:-1], to_micros(header.recorded_at))
    fields = [part for (oid, size), value in zip(sizes, values, strict=True) for part in (oid, size, value)]
    return _BATCH.pack(len(values), *fields)
