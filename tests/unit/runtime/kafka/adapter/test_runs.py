"""Whole batches read by machine code: the same records, offsets and faults as record after record, whatever is sent."""

from collections.abc import Callable
from struct import pack_into
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.runtime.kafka.adapter.record_objects import AsRead
from meter.runtime.kafka.adapter.tolerant import MOST_HEADERS, MOST_RECORD_BYTES
from schemas.compiled import find_module
from schemas.records import Record
from tests.support.examples import examples
from tests.support.fetched import FetchedPartition
from tests.support.raw_batches import GZIP, LZ4, NONE, PACK, SNAPPY, ZSTD, batch, record, reseal
from tests.support.runs import at_base, counted, python_alone, same, three, told

pytestmark = pytest.mark.skipif(find_module() is None, reason="the compiled reader is not installed: make native")

KINDS = [NONE, GZIP, SNAPPY, LZ4, ZSTD]
HEAD_BYTES = 61
OFFSET_DELTA_AT, FIRST_TIME_AT, COUNT_AT = 23, 27, 57
APPEND_TIME = 0x08
TRANSACTIONAL = 0x10

contents = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=40),
        st.none() | st.binary(max_size=300),
        st.lists(st.tuples(st.text(max_size=8).map(str.encode), st.none() | st.binary(max_size=8)), max_size=3),
    ),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_batch_is_read_as_a_whole(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    asked = counted(monkeypatch)
    found = FetchedPartition(three(kind) + at_base(three(kind), 3), topic="some.usage", deserializer=AsRead("some."))
    taken = found.take()
    assert asked == [True, True] and found.position == 6
    assert [type(one) for one in taken] == [Record] * 6
    assert [(one.topic, one.partition, one.offset, one.key, one.value) for one in taken[:3]] == [
        ("usage", 0, 0, b"k", b"a"), ("usage", 0, 1, None, None), ("usage", 0, 2, b"", b""),
    ]  # fmt: skip
    assert taken[0].headers == (("content-type", b"application/cloudevents+json"), ("null", None))
    assert taken[2].headers == ()


@settings(max_examples=examples(200))
@given(st.lists(contents, min_size=1, max_size=4), st.sampled_from(KINDS), st.data())
def test_what_producers_write_comes_out_the_same(written: Any, kind: int, data: Any) -> None:
    """Whatever is polled at once, and from wherever."""
    packed, base = list[tuple[int, bytes]](), 0
    for batch_contents in written:
        builder = DefaultRecordBatchBuilder(2, kind, False, -1, -1, -1, 1 << 20)
        for delta, (key, value, headers) in enumerate(batch_contents):
            builder.append(
                delta, 1_700_000_000_000 + 7 * delta, key, value, [(name.decode(), held) for name, held in headers]
            )
        packed.append((base, at_base(bytes(builder.build()), base)))
        base += len(batch_contents)
    first, most = data.draw(st.integers(0, base - 1)), data.draw(st.none() | st.integers(1, base + 1))
    begin = max(at for at, _ in packed if at <= first)  # brokers send the batch that has the offset, and what follows
    found = same(b"".join(one for at, one in packed if at >= begin), first, most)
    offsets = [one.offset for poll, _ in found for one in poll]
    assert offsets == list(range(first, base))


@settings(max_examples=examples(300))
@given(
    st.integers(0, 400), st.binary(min_size=1, max_size=8), st.sampled_from(KINDS), st.integers(0, 7),
    st.none() | st.integers(1, 7),
)  # fmt: skip
def test_whatever_is_written_over_a_batch(at: int, noise: bytes, kind: int, first: int, most: int | None) -> None:
    records = [record(n, b"value %d" % n, key=b"k", headers=[(b"h", b"x")] * (n % 2)) for n in range(5)]
    packed = batch(records, kind=kind)
    place = HEAD_BYTES + at % (len(packed) - HEAD_BYTES)
    spoilt = reseal((packed[:place] + noise + packed[place + len(noise) :])[: len(packed)])
    same(spoilt + at_base(three(), 5), first, most)
    body = b"".join(records)
    place = at % len(body)
    body = (body[:place] + noise + body[place + len(noise) :])[: len(body)]
    same(batch(records, kind=kind, packed=PACK[kind](body)) + at_base(three(), 5), first, most)


@settings(max_examples=examples(200))
@given(st.integers(21, HEAD_BYTES - 1), st.binary(min_size=1, max_size=4), st.integers(0, 2))
def test_whatever_is_written_over_its_head(at: int, noise: bytes, first: int) -> None:
    data = three(LZ4)
    same(reseal((data[:at] + noise + data[at + len(noise) :])[: len(data)]), first)


def claim(written: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(written)
    pack_into(form, changed, at, value)
    return reseal(bytes(changed))


BAD = [
    record(1, b"v", count=-5),
    record(1, b"v", count=2),
    record(1, b"v", headers=[(b"h", b"x")], count=0),
    record(1, b"v", headers=[(b"h", b"x")] * (MOST_HEADERS + 1)),
    record(1, b"v", headers=[(b"\xff", b"x")]),
    record(1, b"v", headers=[("naïve".encode(), b"x")]),
    record(1, b"v" * (MOST_RECORD_BYTES + 1)),
    record(1, None, headers=[(b"h", bytes(MOST_RECORD_BYTES))]),
    record(7, b"v"),
    record(-1, b"v"),
    b"\x7f",
    b"\x00",
    b"\xff" * 9 + b"\x7f",
    b"\x7e\x00",
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("kind", [NONE, LZ4])
def test_what_is_not_plain_is_left_to_the_others(monkeypatch: pytest.MonkeyPatch, bad: bytes, kind: int) -> None:
    data = batch([record(0, b"a"), bad, record(2, b"c")], kind=kind)
    same(data + at_base(three(), 3))
    asked = counted(monkeypatch)
    FetchedPartition(data + at_base(three(), 3)).take_all()
    assert asked[:1] == [False] and asked[-1]


@pytest.mark.parametrize(
    ("spoil", "is_whole"),
    [
        (lambda data: claim(data, 21, ">h", APPEND_TIME), True),
        (lambda data: claim(data, FIRST_TIME_AT, ">q", -5), True),
        (lambda data: claim(data, OFFSET_DELTA_AT, ">i", 7), False),  # compacted
        (lambda data: claim(data, COUNT_AT, ">i", 2), False),
        (lambda data: claim(data, COUNT_AT, ">i", 4), False),
        (lambda data: claim(data, 21, ">h", 5), False),  # no compression has this number
    ],
    ids=["append time", "before 1970", "holes", "fewer", "more", "unknown compression"],
)
def test_what_the_head_says(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes], is_whole: bool) -> None:
    data = spoil(three())
    same(data + at_base(three(), 8))
    asked = counted(monkeypatch)
    FetchedPartition(data).take_all()
    assert asked == [is_whole]


def test_times_are_those_of_the_head() -> None:
    late = batch([record(0, b"a")])
    [[[one], _]] = same(claim(late, FIRST_TIME_AT, ">q", 77))
    assert one.timestamp_ms == 77
    [[[one], _]] = same(claim(claim(late, FIRST_TIME_AT, ">q", 77), 21, ">h", APPEND_TIME))
    assert one.timestamp_ms > 77


def test_a_batch_behind_a_hole_is_looked_at_record_by_record() -> None:
    found = same(three() + at_base(three(), 5))
    assert [one.offset for poll, _ in found for one in poll] == [0, 1, 2, 5, 6, 7]


def test_control_batches_and_aborted_ones_are_left_out() -> None:
    def of(producer: int, attributes: int, body: bytes) -> bytes:
        changed = bytearray(body)
        pack_into(">q", changed, 43, producer)
        pack_into(">h", changed, 21, attributes)
        return reseal(bytes(changed))

    marker = batch([record(0, bytes(6), key=bytes(4))])
    parts = [
        of(7, TRANSACTIONAL, three()),
        of(8, TRANSACTIONAL, at_base(three(), 3)),
        of(7, TRANSACTIONAL | 0x20, at_base(marker, 6)),
        at_base(three(), 7),
    ]
    data = b"".join(parts)

    def read() -> tuple[list[Any], int]:
        partition = FetchedPartition(data, aborted=[(7, 0)])
        return told(partition.take_all(2)), partition.position

    found, position = read()
    assert [one.offset for one in found] == [3, 4, 5, 7, 8, 9] and position == 10
    with python_alone():
        assert read() == (found, position)
