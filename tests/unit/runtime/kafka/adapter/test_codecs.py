"""Unpacking within a limit: the same as without for what is honest, and an end for what is not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.adapter.codecs import (
    BOUNDED,
    MOST_BYTES,
    MOST_MEMBERS,
    MOST_RECORD_BYTES,
    OversizedBatchError,
    OversizedRecordError,
    bound_codecs,
    check_records,
    read_varint,
)
from tests.support.raw_batches import record, varint

Pack = Callable[[bytes], bytes]
PACKS: list[tuple[str, Pack]] = [
    ("gzip_decode", codec.gzip_encode),
    ("snappy_decode", codec.snappy_encode),
    ("snappy_decode", lambda data: bytes(codec.snappy_encode(data, xerial_compatible=False))),
    ("lz4_decode", codec.lz4_encode),
    ("zstd_decode", codec.zstd_encode),
]
WITH_EVERY_CODEC = pytest.mark.parametrize(("name", "pack"), PACKS, ids=["gzip", "xerial", "snappy", "lz4", "zstd"])


@given(st.binary(min_size=1, max_size=500), st.integers(1, 500))
def test_what_is_packed_comes_out_as_it_was(data: bytes, times: int) -> None:
    for name, pack in PACKS:
        assert BOUNDED[name](memoryview(pack(data * times))) == data * times


def test_threads_unpack_at_the_same_time() -> None:
    """What is unpacked stands for a moment in a buffer that is used again."""
    given = [
        (name, pack(data), data) for n in range(200) for data in [bytes([n]) * 300_000] for name, pack in PACKS[3:]
    ]
    with ThreadPoolExecutor(4) as pool:
        unpacked = list(pool.map(lambda one: BOUNDED[one[0]](one[1]), given))
    assert [data == found for (_, _, data), found in zip(given, unpacked, strict=True)] == [True] * len(given)


@WITH_EVERY_CODEC
def test_much_of_the_same_is_unpacked_up_to_the_limit_and_no_further(name: str, pack: Pack) -> None:
    assert BOUNDED[name](pack(bytes(MOST_BYTES))) == bytes(MOST_BYTES)
    with pytest.raises(OversizedBatchError, match="16 MiB"):
        BOUNDED[name](pack(bytes(MOST_BYTES + 1)))


@WITH_EVERY_CODEC
@pytest.mark.parametrize("spoil", [lambda data: b"garbage!" * 5, lambda data: data[:-9]], ids=["other", "cut"])
def test_what_is_broken_is_an_error_of_another_kind(name: str, pack: Pack, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Exception) as broken:  # of the library, whatever it is
        BOUNDED[name](spoil(pack(b"hello" * 1000)))
    assert not isinstance(broken.value, OversizedBatchError)


def test_gzip_comes_in_a_few_members_only() -> None:
    """Each costs a copy of those behind it: a million of them would take minutes."""
    assert BOUNDED["gzip_decode"](codec.gzip_encode(b"x") * MOST_MEMBERS) == b"x" * MOST_MEMBERS
    with pytest.raises(OversizedBatchError, match="members"):
        BOUNDED["gzip_decode"](codec.gzip_encode(b"x") * (MOST_MEMBERS + 1))


@given(st.integers(-(2**62), 2**62))
def test_a_varint_is_read_as_it_was_written(value: int) -> None:
    written = varint(value)
    assert read_varint(written + b"rest", 0) == (value, len(written))


def test_a_varint_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        read_varint(b"\xff" * 20, 0)
    with pytest.raises(IndexError):
        read_varint(b"\xff\xff", 0)


def test_a_record_whose_headers_could_take_all_memory_is_seen_before_it_is_read() -> None:
    small = record(0, b"v" * 1000)
    check_records(small * 2000)
    with pytest.raises(OversizedRecordError):
        check_records(small + record(1, bytes(MOST_RECORD_BYTES)))
    for length in (0, -1):  # a body of nothing else would take seconds
        with pytest.raises(OversizedRecordError):
            check_records(small + varint(length) * 1000)


def test_gzip_may_come_in_members() -> None:
    assert BOUNDED["gzip_decode"](codec.gzip_encode(b"one") + codec.gzip_encode(b"two")) == b"onetwo"


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_the_clients_records_are_unpacked_with_it(kind: int) -> None:
    def batch(value: bytes) -> Any:
        builder = DefaultRecordBatchBuilder(2, kind, 0, -1, -1, -1, 1 << 28)
        builder.append(0, timestamp=0, key=None, value=value, headers=[])
        return MemoryRecords(bytes(builder.build())).next_batch()

    bound_codecs()
    assert [record.value for record in batch(b"hello" * 1000)] == [b"hello" * 1000]
    with pytest.raises(OversizedBatchError):
        list(batch(bytes(MOST_BYTES)))
