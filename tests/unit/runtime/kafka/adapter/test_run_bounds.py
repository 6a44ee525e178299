"""What runs of records hold in memory, and what becomes of them where polls end, seek or fail in the middle."""

from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.adapter import runs
from meter.runtime.kafka.adapter.protocols import HEADER_BYTES, RECORD_BYTES, UnreadRecords
from meter.runtime.kafka.adapter.record_objects import MOST_TAKEN_BYTES
from meter.runtime.kafka.adapter.tolerant import read_head
from meter.runtime.kafka.partition_buffer import weigh
from schemas.compiled import NATIVE, find_module
from schemas.records import Record
from tests.support.fetched import FetchedPartition
from tests.support.raw_batches import LZ4, ZSTD, batch, record
from tests.support.runs import at_base, counted, python_alone, same, three, told

pytestmark = pytest.mark.skipif(find_module() is None, reason="the compiled reader is not installed: make native")


def test_a_run_takes_no_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    small = batch([record(n, b"") for n in range(2 * runs.MOST_RUN_BYTES // RECORD_BYTES)], kind=ZSTD)
    large = batch([record(n, bytes(60_000)) for n in range(100)], kind=ZSTD)
    for data in (small, large):
        partition = FetchedPartition(data)
        most = 0
        while partition.has_more:
            partition.take(1000)
            most = max(most, sum(weigh(list(partition._result.waiting))))
        assert most <= runs.MOST_RUN_BYTES
    assert asked == [True, True]
    same(small, 5, 1000)
    same(large, 5, 3)


def test_what_was_polled_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka's generator stands at the run until the next poll, however long that takes."""
    given: list[runs.Run] = []
    plain = runs.read_runs

    def read_runs(*args: Any) -> Any:
        for run in plain(*args):
            given.append(run)
            yield run
        return True

    monkeypatch.setattr(runs, "read_runs", read_runs)
    partition = FetchedPartition(three())
    assert len(partition.take(2)) == 2 and len(partition._result.waiting) == 1
    assert [run.records for run in given] == [[]]


def test_nor_is_the_body_of_a_batch_whose_last_run_was_given() -> None:
    packed = memoryview(three(LZ4))
    reading: Any = runs.read_runs(read_head(packed), packed, runs.Place("usage", 0, 0), 1 << 20)
    assert len(next(reading).records) == 3
    assert reading.gi_frame.f_locals["body"] == b""


def test_a_fetch_that_is_dropped_lets_go_of_its_batch() -> None:
    partition = FetchedPartition(three())
    partition.take(1)
    source = partition._result._partition_records
    partition._state.paused = True
    assert partition.take() == [] and not partition.has_more
    assert source._records_iterator.gi_frame is None


def test_all_runs_of_a_fetch_take_no_more_than_one_fetch_may() -> None:
    count = 40
    one = [record(n, bytes(60_000)) for n in range(count)]
    data = b"".join(at_base(batch(one, kind=ZSTD), base) for base in range(0, 8 * count, count))
    found = same(data)
    assert MOST_TAKEN_BYTES < sum(len(one.value) for poll, _ in found for one in poll) < MOST_TAKEN_BYTES + 2 * 60_000


def test_a_seek_between_two_polls_drops_what_waits() -> None:
    partition = FetchedPartition(three())
    assert [one.offset for one in partition.take(1)] == [0]
    partition._state.position = 2
    assert partition.take() == [] and not partition.has_more


def test_one_record_alone_is_no_run() -> None:
    partition = FetchedPartition(three())
    assert [partition._result.getone().value for _ in range(3)] == [b"a", None, b""]
    assert partition._result.getone() is None


def test_damage_behind_the_first_batches_loses_none_of_them() -> None:
    """aiokafka raises, and fetches again from where the consumer stands: before all that this poll would have given."""
    data = bytearray(three() + at_base(three(), 3))
    data[-1] ^= 1
    found = same(bytes(data), 0, 2)
    assert found[0][1] == 2 and found[-1] == 2


def test_another_consumer_gets_no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    found = FetchedPartition(three(), deserializer=lambda key: key).take(2)
    assert [(one.offset, one.value) for one in found] == [(0, b"a"), (1, None)]
    assert not asked


def test_a_fault_of_the_compiled_part_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def fail(name: str, *_: Any) -> Any:
        asked.append(name)
        raise RuntimeError("a fault")

    module = ModuleType("faulty")
    reader = SimpleNamespace(read=partial(fail, "read"))
    vars(module).update(BatchReader=lambda **_: reader, weigh=partial(fail, "weigh"))
    monkeypatch.setattr(NATIVE, "module", module)
    assert [one.value for one in told(FetchedPartition(three()).take())] == [b"a", None, b""]
    assert asked == ["read", "weigh"]


def test_a_fault_in_the_middle_of_a_batch_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = batch([record(n, bytes(60_000)) for n in range(100)], kind=ZSTD)
    assert NATIVE.module is not None
    reader, asked = runs._reader_of(NATIVE.module), list[int]()

    def read(body: bytes, wanted: Any) -> Any:
        asked.append(wanted.done)
        if wanted.done:
            raise RuntimeError("a fault")
        return reader.read(body, wanted)

    monkeypatch.setattr(runs, "_reader_of", lambda _module: SimpleNamespace(read=read))
    assert [one.offset for one in FetchedPartition(data).take_all(7)] == list(range(100))
    assert len(asked) == 2 and asked[1] > 0


@given(st.lists(st.tuples(st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=9), st.integers(0, 3))))
def test_records_weigh_the_same(drawn: Any) -> None:
    """Records that follow each other may have the same headers, as those of a batch do, or others of their size."""
    headers = [tuple(("naïve" * count, b"x" * count) for _ in range(count)) for count in range(4)]
    records = [Record("usage", 0, n, 0, key, value, headers[count]) for n, (key, value, count) in enumerate(drawn)]
    records += [Record("usage", 0, 0, 0, b"k", b"v", ((name, b"x"),)) for name in ("a", "bcd")]
    module = find_module()
    assert module is not None
    with python_alone():
        assert weigh(records) == module.weigh(records, RECORD_BYTES, HEADER_BYTES)


def test_unread_records_are_never_among_a_run() -> None:
    data = batch([record(0, b"a"), record(1, b"v", count=-5)]) + at_base(three(), 2)
    taken = FetchedPartition(data).take()
    assert [isinstance(one, UnreadRecords) for one in taken] == [False, True, False, False, False]
