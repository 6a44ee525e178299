"""Whether a stretch of a partition holds a record, by what a client delivers first and where it then stands."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import pytest

from meter.runtime.kafka import tails
from meter.runtime.kafka.adapter.protocols import RawRecord, ReaderClient, TopicPartition
from meter.runtime.kafka.tails import read_first
from meter.runtime.stretch import Stretch


class Broker:
    """A reader over partitions; of each the offsets of committed records, and how far it can read."""

    def __init__(self, **partitions: tuple[Sequence[int], int]) -> None:
        self._offsets = {place(name): (list(offsets), end) for name, (offsets, end) in partitions.items()}
        self._next = dict.fromkeys(self._offsets, 0)
        self.polls = 0

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._next[tp] = offset

    async def poll(
        self, partitions: Collection[TopicPartition], *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        self.polls += 1
        for tp in partitions:
            offsets, end = self._offsets[tp]
            found = next((offset for offset in offsets if offset >= self._next[tp]), None)
            self._next[tp] = end if found is None else found + 1
            if found is not None:
                return {tp: [cast("RawRecord", Record(found))]}
        return {}

    def fetch_offset(self, tp: TopicPartition) -> int:
        return self._next[tp]


class Record:
    def __init__(self, offset: int) -> None:
        self.offset = offset


def place(name: str) -> TopicPartition:
    return TopicPartition("usage", int(name.removeprefix("p")))


async def ask(broker: Broker, **stretches: Stretch) -> dict[int, bool]:
    wanted = {place(name): stretch for name, stretch in stretches.items()}
    for tp, stretch in wanted.items():
        broker.seek(tp, stretch.begin)
    return {tp.partition: bare for tp, bare in (await read_first(cast("ReaderClient", broker), wanted)).items()}


@pytest.mark.parametrize(
    ("offsets", "bare"),
    [
        ([], True),  # markers alone
        ([3], True),  # what is stored already
        ([9], True),  # what came later
        ([7], False),
        ([5, 8, 9], False),
    ],
)
async def test_a_stretch_is_bare_where_no_record_lies_in_it(offsets: list[int], bare: bool) -> None:
    assert await ask(Broker(p1=(offsets, 12)), p1=Stretch(5, 9)) == {1: bare}


async def test_each_partition_has_its_own_answer_and_is_read_to_its_first_record_alone() -> None:
    broker = Broker(p0=([4, 5, 6, 7], 9), p1=([], 6), p2=([8], 9))
    assert await ask(broker, p0=Stretch(4, 8), p1=Stretch(2, 6), p2=Stretch(1, 9)) == {0: False, 1: True, 2: False}
    assert broker.polls <= 3


async def test_what_cannot_be_read_to_its_end_in_time_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open transaction, or a broker that is silent."""
    monkeypatch.setattr(tails, "READ_TIMEOUT_S", 0.05)
    broker: Any = Broker(p1=([], 6))
    assert await ask(broker, p1=Stretch(2, 9)) == {}
    assert broker.polls > 1
