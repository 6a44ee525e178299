"""The newest balances beside the log: a partition that does not answer at the start is compared later."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from meter import newest
from meter.newest import NewestWatch
from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import HistoryLostError
from meter.runtime.kafka.topic_reader import TopicRecord
from meter.runtime.process.health import Health
from meter.runtime.settings import Settings
from tests.support import until


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
    """In place of the pool: each shard is at position 1."""

    async def fetch(self, _query: str, shards: Sequence[int]) -> list[dict[str, int]]:
        return [{"shard": shard, "generation": 1, "position": 1} for shard in shards]


@pytest.fixture
def balances(monkeypatch: pytest.MonkeyPatch) -> Balances:
    def note_ages(ages: dict[int, tuple[int, int]], values: Any) -> None:
        ages |= {int(value): (1, 2) for value in values}

    made = Balances()
    monkeypatch.setattr(newest, "read_topic", made.read)
    monkeypatch.setattr(newest, "note_ages", note_ages)
    return made


def make() -> tuple[NewestWatch, Health]:
    health = Health()
    health.set_opened()
    return NewestWatch(Settings(), cast(Any, Log()), health, every_s=0.001), health


async def test_what_answers_is_compared_at_the_start(balances: Balances) -> None:
    balances.silent, balances.ahead = {2: "no answer came in time"}, {1}
    watch, _health = make()
    with pytest.raises(HistoryLostError, match="of shard 1"):
        await watch.check()


async def test_a_partition_that_is_silent_is_a_fault_and_is_compared_once_it_answers(balances: Balances) -> None:
    balances.silent, balances.ahead = {2: "no answer came in time"}, {2}
    watch, health = make()
    await watch.check()
    assert not health.ready
    assert "metering.balances[2] was not compared with the log" in str(health.report()["faults"])
    stop = asyncio.Event()
    running = asyncio.create_task(watch.run(stop))
    await until(lambda: balances.reads > 2, 60, "it is asked again")
    balances.silent = {}
    with pytest.raises(HistoryLostError, match="of shard 2"):
        await running


async def test_once_all_are_compared_nothing_is_read_again(balances: Balances) -> None:
    balances.silent = {2: "no answer came in time"}
    watch, health = make()
    await watch.check()
    stop = asyncio.Event()
    running = asyncio.create_task(watch.run(stop))
    balances.silent = {}
    await until(lambda: health.ready, 60, "it is compared")
    reads = balances.reads
    await asyncio.sleep(0)
    stop.set()
    await running
    assert balances.reads == reads


async def test_at_the_start_a_kafka_that_is_away_is_told(balances: Balances) -> None:
    balances.error = DependencyUnreachableError("gone", dependency="kafka")
    watch, _health = make()
    with pytest.raises(DependencyUnreachableError):
        await watch.check()
