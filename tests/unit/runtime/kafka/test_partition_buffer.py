"""The bookkeeping against lost records: what a buffer takes, refuses and hands out."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.adapter.protocols import HEADER_BYTES, RECORD_BYTES, UnreadRecords
from meter.runtime.kafka.partition_buffer import Offered, PartitionBuffer
from schemas.reasons import Reason


@dataclass(frozen=True)
class Raw:
    offset: int
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes], ...] = ()


def run(first: int, past: int) -> list[Raw]:
    return [Raw(offset) for offset in range(first, past)]


PLENTY = 1_000_000


def offsets(buffer: PartitionBuffer, most: int = 1000, most_bytes: int = PLENTY) -> list[int]:
    return [record.offset for record in buffer.take(most, most_bytes)]


def test_takes_a_run_that_starts_where_wanted() -> None:
    buffer = PartitionBuffer("usage", 3, 10)
    assert buffer.offer(run(10, 13), 13) is Offered.TAKEN
    record = buffer.records[0]
    assert (record.topic, record.partition, record.offset, record.key, record.value) == ("usage", 3, 10, b"k", b"v")
    assert offsets(buffer) == [10, 11, 12]
    assert buffer.in_flight_end == 13


def test_trims_what_it_has_had_before() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    assert buffer.offer(run(7, 12), 12) is Offered.TAKEN
    assert offsets(buffer) == [10, 11]


def test_run_that_is_all_old_changes_nothing() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    assert buffer.offer(run(7, 10), 10) is Offered.NOTHING_NEW
    assert buffer.next == 10
    assert buffer.records == []


def test_run_above_what_is_wanted_asks_to_seek_back_once() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    assert buffer.offer(run(15, 17), 17) is Offered.SEEK
    assert buffer.next == 10
    assert buffer.offer(run(10, 17), 17) is Offered.TAKEN
    assert offsets(buffer) == list(range(10, 17))


def test_run_that_starts_above_again_is_a_gap_of_the_broker() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    assert buffer.offer(run(15, 17), 17) is Offered.SEEK
    assert buffer.offer(run(15, 17), 17) is Offered.TAKEN
    assert offsets(buffer) == [15, 16]
    assert (buffer.stored, buffer.in_flight_end) == (10, 17)


def test_a_second_jump_asks_again() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    buffer.offer(run(15, 17), 17)
    buffer.offer(run(15, 17), 17)
    assert buffer.offer(run(30, 31), 31) is Offered.SEEK
    assert buffer.next == 17


def test_markers_behind_the_last_record_belong_to_its_batch() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    buffer.offer(run(0, 3), 4)
    assert offsets(buffer) == [0, 1, 2]
    assert buffer.in_flight_end == 4
    assert buffer.offer(run(4, 5), 5) is Offered.TAKEN


def test_split_batches_meet_at_the_next_record() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    buffer.offer([Raw(0), Raw(1), Raw(5), Raw(6)], 7)
    assert offsets(buffer, 2) == [0, 1]
    assert buffer.in_flight_end == 5
    assert offsets(buffer, 2) == [5, 6]
    assert buffer.in_flight_end == 7


def test_batches_keep_to_a_size_too() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    one = RECORD_BYTES + 1000
    buffer.offer([Raw(offset, key=None, value=b"v" * 1000) for offset in range(10)], 10)
    assert buffer.size == 10 * one
    assert offsets(buffer, most_bytes=3 * one) == [0, 1, 2]
    assert (buffer.in_flight_end, buffer.size) == (3, 7 * one)
    assert offsets(buffer, most_bytes=3 * one - 1) == [3, 4]
    assert offsets(buffer, most=1, most_bytes=3 * one) == [5]
    assert offsets(buffer, most_bytes=0) == []
    assert buffer.in_flight_end == 6
    assert offsets(buffer, most_bytes=4 * one) == [6, 7, 8, 9]
    assert (buffer.in_flight_end, buffer.size) == (10, 0)


def test_a_record_larger_than_a_batch_goes_alone() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    buffer.offer([Raw(0, value=None, headers=(("h", b"v" * 5000),)), Raw(1)], 2)
    assert offsets(buffer, most_bytes=100) == [0]
    assert offsets(buffer, most_bytes=100) == [1]


def unread(offset: int, beyond: int, value: bytes = b"") -> UnreadRecords:
    return UnreadRecords(offset, beyond, 0, None, value, Reason.UNDECODABLE, "why", 100, bytes(32))


def test_what_could_not_be_read_goes_with_the_records_around_it() -> None:
    buffer = PartitionBuffer("usage", 3, 10)
    found: list[Raw | UnreadRecords] = [Raw(10), unread(11, 14), Raw(14), unread(15, 16, b"kept"), Raw(16)]
    assert buffer.offer(found, 17) is Offered.TAKEN
    assert (buffer.waiting, buffer.next) == (5, 17)
    assert offsets(buffer, 2) == [10, 14]
    [first, second] = buffer.take_unread()
    assert (first.record.topic, first.record.partition, first.record.offset, first.beyond) == ("usage", 3, 11, 14)
    assert (second.record.value, second.reason, second.length, second.digest) == (
        b"kept", Reason.UNDECODABLE, 100, bytes(32),
    )  # fmt: skip
    assert buffer.in_flight_end == 16
    assert offsets(buffer) == [16]
    assert (buffer.take_unread(), buffer.size, buffer.in_flight_end) == ([], 0, 17)


def test_what_could_not_be_read_waits_for_the_batch_that_reaches_it() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    buffer.offer([Raw(0), Raw(1), unread(2, 9)], 9)
    assert offsets(buffer, 1) == [0]
    assert buffer.take_unread() == [] and buffer.waiting == 2
    assert offsets(buffer, 1) == [1]
    assert [rejected.beyond for rejected in buffer.take_unread()] == [9]
    assert (buffer.in_flight_end, buffer.waiting) == (9, 0)


def test_what_could_not_be_read_alone_is_waiting_work_and_a_batch() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    buffer.offer([unread(0, 5, b"v" * 1000)], 5)
    assert buffer.waiting == 1 and buffer.size > 1000 and buffer.lag(5) == 5
    assert offsets(buffer, 0, 0) == []
    assert [rejected.beyond for rejected in buffer.take_unread()] == [5]
    assert (buffer.in_flight_end, buffer.size) == (5, 0)


def test_headers_weigh_more_than_their_bytes() -> None:
    buffer = PartitionBuffer("usage", 0, 0)
    buffer.offer([Raw(0, key=None, value=None, headers=(("", b""),) * 1000)], 1)
    assert buffer.size == RECORD_BYTES + 1000 * HEADER_BYTES


def test_records_lost_to_retention_become_part_of_the_next_batch() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    buffer.skip_to(50)
    assert buffer.offer(run(50, 52), 52) is Offered.TAKEN
    assert offsets(buffer) == [50, 51]
    assert (buffer.stored, buffer.in_flight_end) == (10, 52)


def test_lag_counts_what_is_not_stored() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    assert buffer.lag(None) == 0
    assert buffer.lag(14) == 4
    buffer.offer(run(10, 14), 14)
    assert buffer.lag(14) == 4
    buffer.take(100, PLENTY)
    assert buffer.lag(14) == 4
    buffer.store(14)
    assert buffer.lag(14) == 0


def test_transaction_markers_at_the_end_are_no_lag() -> None:
    buffer = PartitionBuffer("usage", 0, 10)
    buffer.fetch_offset = 12
    assert buffer.lag(12) == 0


@given(
    st.lists(st.integers(0, 200), unique=True).map(sorted),
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 30), st.integers(1, 12)), max_size=60),
    st.integers(0, 50),
)
def test_whatever_the_client_delivers_every_record_is_handed_out_once_and_in_order(
    log: list[int], deliveries: list[tuple[int, int, int]], stored: int
) -> None:
    """The client may start anywhere (after a lost drain, a rewind, a rebalance); a seek brings it to `buffer.next`."""
    buffer = PartitionBuffer("usage", 0, stored)
    taken: list[int] = []
    bounds = [stored]
    for start, count, limit in deliveries:
        found = [Raw(offset) for offset in log if offset >= start][:count]
        if found and buffer.offer(found, found[-1].offset + 1) is Offered.SEEK:
            found = [Raw(offset) for offset in log if offset >= buffer.next][:count]
            assert buffer.offer(found, found[-1].offset + 1) is Offered.TAKEN
        taken += offsets(buffer, limit, limit * (RECORD_BYTES + 1))
        bounds.append(buffer.in_flight_end)
    assert bounds == sorted(bounds)
    assert taken == [offset for offset in log if stored <= offset < buffer.in_flight_end]
