"""The newest balances beside the log: a partition that does not answer at the start is compared later."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from meter import newest
from meter.newest import EVERY_S, NewestWatch
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import HistoryLostError
from meter.runtime.kafka.topic_reader import TopicRecord
from meter.runtime.process.health import Health
from meter.runtime.settings import Settings
from tests.support.virtual_loop import run_virtually


class Balances:
    """In place of the topic. `ahead`: partitions whose newest balance is beyond the log."""

    def __init__(self) -> None:
        self.reads = 0
        self.silent: dict[int, str] = {}
        self.ahead: set[int] = set()
        self.error: Exception | None = None

    async def read(
        self, _settings: Settings, _topic: str, *, newest: int, silent: dict[int, str]
    ) -> AsyncIterator[list[TopicRecord]]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        silent |= self.silent
        for number in self.ahead - self.silent.keys():
            yield [TopicRecord(number, 0, str(number).encode())]


class Log:
    """In place of the pool: each shard is at the same position."""

    def __init__(self) -> None:
        self.position = 1

    async def fetch(self, _query: str, shards: Sequence[int]) -> list[dict[str, int]]:
        return [{"shard": shard, "generation": 1, "position": self.position} for shard in shards]


@pytest.fixture
def balances(monkeypatch: pytest.MonkeyPatch) -> Balances:
    def note_ages(ages: dict[int, tuple[int, int]], values: Any) -> None:
        ages |= {int(value): (1, 2) for value in values}

    made = Balances()
    monkeypatch.setattr(newest, "read_topic", made.read)
    monkeypatch.setattr(newest, "note_ages", note_ages)
    return made


def make(stored: Log | None = None) -> tuple[NewestWatch, Health]:
    health = Health()
    health.set_opened()
    return NewestWatch(Settings(), cast(Any, stored or Log()), health), health


async def test_what_answers_is_compared_at_the_start(balances: Balances) -> None:
    balances.silent, balances.ahead = {2: "no answer came in time"}, {1}
    watch, _health = make()
    with pytest.raises(HistoryLostError, match=r"of shard 1 .*This process has written nothing"):
        await watch.check()


def test_a_partition_that_is_silent_is_a_fault_and_is_compared_once_it_answers(balances: Balances) -> None:
    async def play() -> None:
        balances.silent, balances.ahead = {2: "no answer came in time"}, {2}
        watch, health = make()
        await watch.check()
        assert not health.ready
        assert "metering.balances[2] was not compared with the log" in str(health.report()["faults"])
        running = asyncio.create_task(watch.run(asyncio.Event()))
        await asyncio.sleep(2.5 * EVERY_S)
        assert balances.reads == 3
        balances.silent = {}
        with pytest.raises(HistoryLostError, match=r"of shard 2 .*have written since they started"):
            await running

    run_virtually(play())


def test_once_all_are_compared_nothing_is_read_again(balances: Balances) -> None:
    async def play() -> None:
        balances.silent = {2: "no answer came in time"}
        watch, health = make()
        await watch.check()
        stop = asyncio.Event()
        running = asyncio.create_task(watch.run(stop))
        balances.silent = {}
        await asyncio.sleep(1.5 * EVERY_S)
        assert (health.ready, balances.reads) == (True, 2)
        await asyncio.sleep(100 * EVERY_S)
        stop.set()
        await running
        assert balances.reads == 2

    run_virtually(play())


@pytest.mark.parametrize(
    ("at_start", "later", "said"),
    [(1, 1_000, "partition_compared_late"), (2, 1_000, "partition_compared")],
    ids=["the log has passed the newest record since", "the log had it at the start"],
)
async def test_what_a_later_look_cannot_tell_is_not_said_to_be_compared(
    balances: Balances, at_start: int, later: int, said: str
) -> None:
    balances.silent, balances.ahead = {2: "no answer came in time"}, {2}
    stored = Log()
    stored.position = at_start
    watch, health = make(stored)
    with capture_logs() as lines:
        await watch.check()
        await watch.check()
        stored.position, balances.silent = later, {}
        await watch.check()
    assert [line["event"] for line in lines] == ["partition_not_compared", said]
    assert health.ready


async def test_one_that_was_compared_and_is_silent_later_is_no_fault(balances: Balances) -> None:
    balances.silent = {2: "no answer came in time"}
    watch, health = make()
    await watch.check()
    balances.silent = {1: "no answer came in time"}
    await watch.check()
    assert health.ready


async def test_at_the_start_a_kafka_that_is_away_is_told(balances: Balances) -> None:
    balances.error = DependencyUnreachableError("gone", dependency="kafka")
    watch, _health = make()
    with pytest.raises(DependencyUnreachableError):
        await watch.check()
