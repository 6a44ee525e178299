"""Many refused records packed into the bytes of one row, and taken out again one by one. Pure.

Zstandard with its usual window of 2 MiB: what repeats within a record batch, which is 1 MiB packed, packs here as well
as it did on the wire. With a window of 32 KiB (gzip) the same bytes would take 250 times as much.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

import cramjam

from schemas.records import Record

_HEAD: Final = Struct(">qqH")  # offset, timestamp in ms, number of headers
_LENGTH: Final = Struct(">i")  # -1: null
LEVEL: Final = 3
OF_FIRST: Final = "; of the first: "  # in the words of a packed rejection, before those of its first record
# The header of a record of which only the beginning is kept. No sender can make its name, because what is read from
# Kafka is UTF-8, which has no surrogates. Versions before take it for one of the sender's, and cannot send it.
WHOLE: Final = "\ud800whole"
_WHOLE_LENGTH: Final = Struct(">q")  # then the digest, where it is kept


def pack(records: Sequence[Record]) -> bytes:
    """Records of one partition, in order."""
    parts: list[bytes] = []
    for record in records:
        parts.append(_HEAD.pack(record.offset, record.timestamp_ms, len(record.headers)))
        for part in (record.key, record.value):
            parts += pack_field(part)
        for name, value in record.headers:
            parts += pack_field(name.encode("utf-8", "surrogatepass"))
            parts += pack_field(value)
    return bytes(cramjam.zstd.compress(b"".join(parts), LEVEL))


def note_whole(record: Record, length: int, digest: bytes) -> Record:
    """The beginning of a record, with bytes and SHA-256 of the whole, to be packed; an empty digest says nothing."""
    return record._replace(headers=(*record.headers, (WHOLE, _WHOLE_LENGTH.pack(length) + digest)))


def read_whole(record: Record) -> tuple[Record, int | None, bytes | None]:
    """What `note_whole` was given, of a record that was packed; no length and digest where it was kept whole."""
    if not record.headers or record.headers[-1][0] != WHOLE:
        return record, None, None
    *headers, (_name, noted) = record.headers
    [length] = _WHOLE_LENGTH.unpack_from(noted)
    return record._replace(headers=tuple(headers)), length, noted[_WHOLE_LENGTH.size :] or None


def pack_field(field: bytes | None) -> tuple[bytes, bytes]:
    return (_LENGTH.pack(-1), b"") if field is None else (_LENGTH.pack(len(field)), field)


def unpack(topic: str, partition: int, packed: bytes) -> Iterator[Record]:
    """The records as they were. The bytes are the meter's own, which the chain covers."""
    data = bytes(cramjam.zstd.decompress(packed))
    at = 0
    while at < len(data):
        offset, timestamp_ms, count = _HEAD.unpack_from(data, at)
        key, at = unpack_field(data, at + _HEAD.size)
        value, at = unpack_field(data, at)
        headers: list[tuple[str, bytes]] = []
        for _ in range(count):
            name, at = unpack_field(data, at)
            content, at = unpack_field(data, at)
            headers.append(((name or b"").decode("utf-8", "surrogatepass"), content))  # type: ignore[arg-type]  # null
        yield Record(topic, partition, offset, timestamp_ms, key, value, tuple(headers))


def unpack_field(data: bytes, at: int) -> tuple[bytes | None, int]:
    [length] = _LENGTH.unpack_from(data, at)
    at += _LENGTH.size
    return (None, at) if length < 0 else (data[at : at + length], at + length)
