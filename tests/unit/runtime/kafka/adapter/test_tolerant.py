"""A batch that aiokafka cannot read: what is sound comes as it was sent, the rest is named, and nothing raises."""

from collections.abc import Sequence
from hashlib import sha256
from struct import pack_into
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka import errors as kafka_errors
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.adapter.batches import FetchedBatches
from meter.runtime.kafka.adapter.patches import patch_aiokafka
from meter.runtime.kafka.adapter.protocols import UnreadRecords
from meter.runtime.kafka.adapter.record_objects import MOST_TAKEN_BYTES
from meter.runtime.kafka.adapter.tolerant import (
    KEPT_BYTES,
    MOST_HEADERS,
    MOST_RECORD_BYTES,
    SoundRecord,
    read_batch,
)
from schemas.reasons import Reason
from tests.fuzz.batches import TIMES_AT
from tests.support.fetched import FetchedPartition
from tests.support.raw_batches import GZIP, LZ4, NONE, SNAPPY, ZSTD, batch, record

BASE = 100
CAUSE = ValueError("what aiokafka said")
BAD_NAME = [(b"\xff", b"x")]
OFFSET_DELTA_AT, COUNT_AT = 23, 57


def at_base(written: bytes, base: int = BASE) -> bytes:
    """As the broker hands it out: with the offset that it gave."""
    return base.to_bytes(8, "big") + written[8:]


def read(written: bytes, first: int = BASE) -> list[SoundRecord | UnreadRecords]:
    return list(read_batch(memoryview(at_base(written)), first, CAUSE))


def spans(found: Sequence[Any]) -> list[tuple[int, int]]:
    return [(r.offset, r.to_offset if isinstance(r, UnreadRecords) else r.offset + 1) for r in found]


def claim(written: bytes, at: int, value: int) -> bytes:
    """The batch with another number in its head."""
    changed = bytearray(written)
    pack_into(">i", changed, at, value)
    return bytes(changed)


@pytest.mark.parametrize("kind", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
def test_a_sound_batch_is_read_as_aiokafka_reads_it(kind: int) -> None:
    patch_aiokafka()
    headers = [(b"content-type", b"text/plain"), (b"null", None), ("naïve".encode(), b"")]
    contents: list[tuple[bytes | None, bytes | None]] = [(b"k", b"v"), (None, b""), (b"", None)]
    written = batch((record(n, v, key=k, headers=headers) for n, (k, v) in enumerate(contents)), kind=kind)
    found = read(written)
    compiled = list(FetchedBatches(at_base(written)).next_batch())
    for one, other in zip(found, compiled, strict=True):
        assert isinstance(one, SoundRecord)
        assert (one.offset, one.timestamp, one.timestamp_type) == (other.offset, other.timestamp, other.timestamp_type)
        assert (one.key, one.value, list(one.headers)) == (other.key, other.value, other.headers)


def test_names_that_are_no_utf_8_are_escaped() -> None:
    [found] = read(batch([record(0, b"v", headers=BAD_NAME)]))
    assert found.headers == [("\\xff", b"x")]


@pytest.mark.parametrize(("first", "since"), [(-(2**63), 1_700_000_000_000 - 2**63), (2**63 - 1, 1), (-5, 2**63 - 1)])
def test_times_go_round_as_those_of_other_readers_do(first: int, since: int) -> None:
    """The broker looks at the sum, and takes one that is now: no row holds a number beyond 64 bits."""
    written = bytearray(batch([record(0, b"v", since=since)]))
    pack_into(">q", written, TIMES_AT, first)
    [found], [compiled] = read(bytes(written)), list(FetchedBatches(at_base(bytes(written))).next_batch())
    assert -(2**63) <= found.timestamp < 2**63 and found.timestamp == compiled.timestamp


@pytest.mark.parametrize(
    ("broken", "reason", "words"),
    [
        (record(1, b"v", count=-5), Reason.UNDECODABLE, "-5 headers"),
        (record(1, b"v", count=2), Reason.UNDECODABLE, "index out of bounds"),
        (record(1, b"v", headers=[(b"h", b"x")], count=0), Reason.UNDECODABLE, "behind the record's end"),
        (record(1, b"v", headers=[(b"h", b"x")] * (MOST_HEADERS + 1)), Reason.TOO_LARGE, "257 headers"),
        (record(1, b"v" * MOST_RECORD_BYTES), Reason.TOO_LARGE, "at most 65536"),
        (record(1, None, headers=[(b"h", bytes(MOST_RECORD_BYTES))]), Reason.TOO_LARGE, "at most 65536"),
    ],
    ids=["negative count", "fewer headers", "more headers", "many headers", "large value", "large header"],
)
def test_what_is_wrong_inside_a_record_costs_it_alone(broken: bytes, reason: Reason, words: str) -> None:
    one, other, three = read(batch([record(0, b"a"), broken, record(2, b"c")]))
    assert (one.value, three.value) == (b"a", b"c")
    assert isinstance(other, UnreadRecords)
    assert (other.offset, other.to_offset, other.reason) == (BASE + 1, BASE + 2, reason)
    assert words in other.detail
    assert len(other.value) <= KEPT_BYTES


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (batch([record(0, b"a"), record(1, b"b"), b"\x7f"]), "record 2 has -64 bytes"),
        (batch([record(0, b"a"), record(1, b"b"), b""]), "what aiokafka said"),
        (batch([record(0, b"a"), record(1, b"b"), b"\xff" * 12]), "10 bytes"),
        (batch([record(0, b"a"), record(1, b"b"), b"\x7e\x00"]), "record 2 has 63 bytes of 1"),
    ],
    ids=["negative length", "missing", "endless length", "too long"],
)
def test_where_the_next_record_cannot_be_found_the_rest_is_one(written: bytes, words: str) -> None:
    one, two, rest = read(written)
    assert (one.value, two.value) == (b"a", b"b")
    assert isinstance(rest, UnreadRecords)
    assert (rest.offset, rest.to_offset, rest.reason) == (BASE + 2, BASE + 3, Reason.UNDECODABLE)
    assert (rest.value, rest.length, rest.digest) == (
        at_base(written), len(written), sha256(at_base(written)).digest(),
    )  # fmt: skip
    assert f"at offsets {BASE} to {BASE + 2}" in rest.detail


@pytest.mark.parametrize("kind", [GZIP, SNAPPY, LZ4, ZSTD, 5, 7])
def test_a_batch_that_cannot_be_unpacked_is_one(kind: int) -> None:
    [found] = read(batch([record(n, b"v") for n in range(3)], kind=kind, packed=b"garbage!" * 5))
    assert isinstance(found, UnreadRecords)
    assert (found.offset, found.to_offset, found.reason) == (BASE, BASE + 3, Reason.UNDECODABLE)


def test_offsets_come_from_the_place_where_the_batch_has_no_holes() -> None:
    found = read(batch([record(9_000_000, b"a"), record(-7, b"b"), record(0, b"c")]))
    assert [(r.offset, r.value) for r in found] == [(BASE, b"a"), (BASE + 1, b"b"), (BASE + 2, b"c")]


def test_a_compacted_batch_keeps_its_holes() -> None:
    written = claim(batch([record(1, b"a"), record(4, b"b")]), OFFSET_DELTA_AT, 6)
    assert spans(read(written)) == [(BASE + 1, BASE + 2), (BASE + 4, BASE + 5)]


@pytest.mark.parametrize("second", [7, -1, 1], ids=["beyond", "before", "again"])
def test_a_compacted_batch_with_a_wrong_offset_is_read_up_to_it(second: int) -> None:
    written = claim(batch([record(1, b"a"), record(second, b"b")]), OFFSET_DELTA_AT, 6)
    assert spans(read(written)) == [(BASE + 1, BASE + 2), (BASE + 2, BASE + 7)]


def test_what_was_read_before_is_left_out() -> None:
    written = batch([record(n, b"v") for n in range(4)])
    assert spans(read(written, BASE + 2)) == [(BASE + 2, BASE + 3), (BASE + 3, BASE + 4)]
    broken = batch([record(0, b"v"), record(1, b"v")], kind=ZSTD, packed=b"garbage!")
    assert spans(read(broken, BASE + 1)) == [(BASE + 1, BASE + 2)]


@pytest.mark.parametrize(
    "written",
    [bytes(12), bytes(16), bytes(40), batch([record(0, b"v")], magic=1)],
    ids=["length alone", "no magic", "short", "old"],
)
def test_a_batch_without_a_head_is_one_offset(written: bytes) -> None:
    assert spans(read(written)) == [(BASE, BASE + 1)]


# --- through aiokafka's fetcher -------------------------------------------------------------------------------------


def fetched(data: bytes, first: int = 0, deserializer: Any = None) -> list[Any]:
    return FetchedPartition(data, first, deserializer=deserializer).take()


def test_the_fetcher_goes_on_behind_a_batch_that_it_cannot_read() -> None:
    sound = batch([record(0, b"a"), record(1, b"b")])
    broken = batch([record(0, b"c"), record(1, b"d", headers=BAD_NAME), record(2, b"e")])
    dark = batch([record(n, b"v") for n in range(4)], kind=ZSTD, packed=b"garbage!")
    data = at_base(sound, 0) + at_base(broken, 2) + at_base(dark, 5) + at_base(sound, 9)
    found = fetched(data)
    assert spans(found) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 9), (9, 10), (10, 11)]
    assert [r.value for r in found if not isinstance(r, UnreadRecords)] == [b"a", b"b", b"c", b"d", b"e", b"a", b"b"]


@pytest.mark.parametrize("deltas", [(-1,), (0, 0, 0), (5, 3), (1, 0), (2**31 - 1,), (0, -(2**31))])
def test_no_record_is_left_out_because_of_the_offset_that_it_says(deltas: tuple[int, ...]) -> None:
    """The broker gives out offsets by the place in the batch, and never looks at what a record says of its own."""
    data = batch([record(delta, b"%d" % place) for place, delta in enumerate(deltas)])
    for first in range(len(deltas)):
        found = fetched(at_base(data, 0), first)
        assert [(one.offset, one.value) for one in found] == [(n, b"%d" % n) for n in range(first, len(deltas))]


def test_a_consumer_of_another_kind_gets_records_of_its_own_class() -> None:
    found = fetched(batch([record(0, b"a", headers=BAD_NAME), record(1, b"b", count=-5)]), deserializer=lambda key: key)
    assert all(isinstance(r, ConsumerRecord) for r in found)
    assert [(r.offset, r.value) for r in found] == [(0, b"a"), (1, b"b")]


def test_bytes_that_were_damaged_on_the_way_are_fetched_again() -> None:
    """The broker checks the sum of what it takes in, so the copy is at fault and not the producer."""
    data = bytearray(batch([record(0, b"a"), record(1, b"b")]))
    data[-2] ^= 1
    with pytest.raises(kafka_errors.CorruptRecordException, match="CRC"):
        fetched(bytes(data))


def test_a_fetched_partition_delivers_only_so_much_at_once() -> None:
    count = 200
    one = batch([record(n, bytes(60_000)) for n in range(count)], kind=ZSTD)
    at, pieces = 0, 0
    while at < count:
        source = FetchedPartition(one, at)
        found = source.take()
        assert found[0].offset == at and sum(len(r.value) for r in found) < MOST_TAKEN_BYTES + 2 * 60_000
        at, pieces = source.position, pieces + 1
        assert found[-1].offset == at - 1
    assert pieces == 2


def test_the_last_batch_of_a_fetch_may_be_cut_off() -> None:
    sound = batch([record(0, b"a")])
    assert [r.value for r in fetched(sound + at_base(sound, 1)[:-1])] == [b"a"]
    assert not FetchedBatches(sound[:11]).has_next()


@given(st.integers(0, 200), st.binary(min_size=1, max_size=8), st.sampled_from([NONE, GZIP, SNAPPY, LZ4, ZSTD]))
def test_whatever_is_written_over_a_batch_every_offset_is_covered_once(at: int, noise: bytes, kind: int) -> None:
    """The head's offsets are the broker's; all that is behind them is the producer's."""
    sound = batch([record(n, b"value %d" % n, key=b"k", headers=[(b"h", b"x")]) for n in range(5)], kind=kind)
    at = 61 + at % (len(sound) - 61)
    spoilt = sound[:at] + noise + sound[at + len(noise) :]
    found = read(spoilt[: len(sound)])
    covered = [offset for begin, end in spans(found) for offset in range(begin, end)]
    assert covered == list(range(BASE, BASE + 5))
