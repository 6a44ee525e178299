"""Unpacking of compressed record batches, within a limit.

A record batch of 10 kB can unpack to 300 MiB, and aiokafka unpacks it whole before anybody can look at its size. The
limit of the topic (1 MiB, packed) does not bound that, so decoders with a limit take the place of aiokafka's own.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final

import cramjam
from aiokafka import codec
from aiokafka.record._crecords import default_records as compiled

# Producers limit a batch before they pack it, librdkafka to 1 MB, and a topic takes 1 MiB packed. Java producers limit
# it packed, by an estimate: 16 MiB is a full batch packed by a ratio of 16.
MOST_BYTES: Final = 16 * 1024 * 1024
# A record of this size has half a million headers at most, which take 40 MB when aiokafka reads them.
MOST_RECORD_BYTES: Final = 1024 * 1024
MOST_MEMBERS: Final = 64
# Most batches fit into this, and are unpacked into a buffer that is kept, as a new one is filled with zeros first. Who
# unpacks takes it away meanwhile: another thread makes its own.
USUAL_BYTES: Final = 2 * 1024 * 1024
USUAL_RATIO: Final = 4  # events of usage pack by three to four
SPARE: Final[list[bytearray]] = []
FULL: Final = "failed to write whole buffer"
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

Unpack = Callable[[Any], bytes]


class OversizedBatchError(Exception):
    """A record batch would unpack to more than any honest producer writes."""


class OversizedRecordError(Exception):
    """A record of a batch is so large that reading its headers could take all memory."""


def bound_codecs() -> None:
    """Replace the decoders in the compiled module that reads record batches (Kafka 4 has no older format)."""
    for name, decode in BOUNDED.items():
        if not hasattr(compiled, name):
            raise RuntimeError(f"aiokafka has no {name} any more where it was: unpacking would be without a limit")
        setattr(compiled, name, check_after(decode))


def check_after(unpack: Unpack) -> Unpack:
    def unpack_and_check(packed: Any) -> bytes:
        unpacked = unpack(packed)
        if len(unpacked) > MOST_RECORD_BYTES:
            check_records(unpacked)
        return unpacked

    return unpack_and_check


def check_records(body: bytes) -> None:
    """Hop from record to record by their lengths (0.2 µs each). Raises OversizedRecordError."""
    at, end = 0, len(body)
    while at < end:
        length, at = read_varint(body, at)
        if not 0 < length <= MOST_RECORD_BYTES:  # each of none takes as long as one of many bytes
            raise OversizedRecordError(f"a record of {length} bytes")
        at += length


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Kafka's signed varint, and where it ends. Raises IndexError behind the end, ValueError when it is too long."""
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte >> 1 ^ -(byte & 1), at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 10 bytes")


def unpack_with(decompress_into: Callable[[Any, bytearray], int]) -> Unpack:
    def unpack(packed: Any) -> bytes:
        unpacked = None
        if len(packed) * USUAL_RATIO <= USUAL_BYTES:
            try:
                out = SPARE.pop()
            except IndexError:
                out = bytearray(USUAL_BYTES)
            unpacked = unpack_into(out, packed)
            SPARE[:] = [out]
        if unpacked is None:
            unpacked = unpack_into(bytearray(MOST_BYTES), packed)
        if unpacked is None:
            raise OversizedBatchError(f"unpacks to more than {MOST_BYTES >> 20} MiB")
        return unpacked

    def unpack_into(out: bytearray, packed: Any) -> bytes | None:
        """None: there is not enough room."""
        try:
            size = decompress_into(packed, out)
        except cramjam.DecompressionError as error:
            if not is_full(error):
                raise
            return None
        return bytes(memoryview(out)[:size])

    return unpack


def is_full(error: Exception) -> bool:
    return FULL in str(error)


def unpack_gzip(packed: Any) -> bytes:
    """Unpack one gzip member after the other: a file may have several, but each costs a copy of those behind it."""
    parts: list[bytes] = []
    room, rest = MOST_BYTES, bytes(packed)
    while rest:
        if len(parts) == MOST_MEMBERS:
            raise OversizedBatchError(f"has more than {MOST_MEMBERS} gzip members")
        member = zlib.decompressobj(wbits=31)
        parts.append(member.decompress(rest, room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise OversizedBatchError(f"unpacks to more than {MOST_BYTES >> 20} MiB")
        if not member.eof:
            raise EOFError("a gzip member ended before its end")
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def unpack_snappy(packed: Any) -> bytes:
    """Snappy names the size of each block before it, so nothing is unpacked that is too large."""
    if measure_snappy(memoryview(packed)) > MOST_BYTES:
        raise OversizedBatchError(f"unpacks to more than {MOST_BYTES >> 20} MiB")
    unpacked: bytes = codec.snappy_decode(packed)
    return unpacked


def measure_snappy(packed: memoryview) -> int:
    if not codec._detect_xerial_stream(packed):
        return int(cramjam.snappy.decompress_raw_len(packed))
    total, cursor = 0, 16
    while cursor + 4 <= len(packed):
        end = cursor + 4 + int.from_bytes(packed[cursor : cursor + 4], "big")
        total += int(cramjam.snappy.decompress_raw_len(packed[cursor + 4 : end]))
        cursor = end
    return total


BOUNDED: Final[dict[str, Unpack]] = {
    "gzip_decode": unpack_gzip,
    "snappy_decode": unpack_snappy,
    "lz4_decode": unpack_with(cramjam.lz4.decompress_into),
    "zstd_decode": unpack_with(cramjam.zstd.decompress_into),
}
# By the number that the attributes of a batch have for them.
BY_NUMBER: Final[dict[int, Unpack]] = {
    0: bytes,
    GZIP: BOUNDED["gzip_decode"],
    SNAPPY: BOUNDED["snappy_decode"],
    LZ4: BOUNDED["lz4_decode"],
    ZSTD: BOUNDED["zstd_decode"],
}
