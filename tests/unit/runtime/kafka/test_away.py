"""One partition whose leader is away: its shard waits, and the others are read."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

import pytest

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import assignment, ends
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.kafka.asking import ALONE_S, TOGETHER_S, ask_each
from meter.runtime.kafka.assignment import Assignment
from meter.runtime.kafka.away import AGAIN_S
from meter.runtime.kafka.ends import EndsReader
from meter.runtime.kafka.failures import UNAUTHORIZED
from meter.runtime.kafka.shard_buffers import ShardBuffers
from meter.runtime.settings import Settings
from tests.support.virtual_loop import run_virtually

USAGE, ACCOUNTS = "usage", "accounts"
SHARDS = 3


def place(topic: str, number: int) -> TopicPartition:
    return TopicPartition(topic, number)


class Brokers:
    """As aiokafka asks them: while one of the partitions has no leader, a question has no answer, and no end."""

    def __init__(self) -> None:
        self.away: set[TopicPartition] = set()
        self.refused: set[TopicPartition] = set()
        self.asked: list[list[TopicPartition]] = []
        self.places: dict[TopicPartition, int] = {}
        self.resumed: set[TopicPartition] = set()

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.asked.append(list(partitions))
        if self.refused & set(partitions):
            raise UNAUTHORIZED[0]("usage")
        if self.away & set(partitions):
            await asyncio.Event().wait()
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(await self.beginning_offsets(partitions), 9)

    def pause(self, *partitions: TopicPartition) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.places[partition] = offset

    def resume(self, *partitions: TopicPartition) -> None:
        self.resumed |= set(partitions)


class Stored:
    async def fetch_offsets(self, topics: Iterable[str], shards: Iterable[int]) -> Mapping[tuple[str, int], int]:
        return {(topic, shard): 4 for topic in topics for shard in shards}


class Made:
    def __init__(self) -> None:
        self.brokers, self.woken = Brokers(), 0
        self.client = cast(ConsumerClient, self.brokers)
        self.buffers = ShardBuffers(batch_events=10, batch_bytes=1000, buffer_bytes=1000, concurrency=1)
        names = {USAGE: USAGE, ACCOUNTS: ACCOUNTS}
        self.assignment = Assignment(Settings(partitions=SHARDS), names, Stored(), self.buffers, wake=self.wake)
        self.assignment.accept(self.client, [place(topic, n) for topic in names for n in range(SHARDS)])

    def wake(self) -> None:
        self.woken += 1

    @property
    def positioned(self) -> set[int]:
        return set(self.buffers.shards)


def test_the_others_are_read_and_it_is_read_once_it_answers() -> None:
    async def play() -> None:
        made = Made()
        made.brokers.away = {place(ACCOUNTS, 1)}
        await made.assignment.position(made.client)
        assert made.positioned == {0, 2}
        assert made.brokers.resumed == {place(topic, n) for topic in (USAGE, ACCOUNTS) for n in (0, 2)}
        assert set(made.assignment.away.silent) == {place(ACCOUNTS, 1)}
        began = asyncio.get_running_loop().time()
        for _ in range(100):
            await made.assignment.position(made.client)
        assert asyncio.get_running_loop().time() == began, "the loop does not wait for it again"
        made.brokers.away.clear()
        await asyncio.sleep(AGAIN_S + 1)
        assert made.woken == 1
        await made.assignment.position(made.client)
        assert made.positioned == {0, 1, 2}
        assert made.brokers.places[place(ACCOUNTS, 1)] == 4
        assert not made.assignment.away.silent

    run_virtually(play())


def test_a_shard_that_is_away_is_no_work_that_another_process_could_do() -> None:
    """Else the watchdog ends the process after `stall_s`."""

    async def play() -> None:
        made = Made()
        assert made.assignment.count_unpositioned() == SHARDS
        made.brokers.away = {place(USAGE, 2)}
        await made.assignment.position(made.client)
        assert made.assignment.count_unpositioned() == 0
        made.assignment.forget()
        assert not made.assignment.away.silent

    run_virtually(play())


def test_where_no_partition_answers_it_is_the_brokers() -> None:
    async def play() -> None:
        made = Made()
        made.brokers.away = {place(topic, n) for topic in (USAGE, ACCOUNTS) for n in range(SHARDS)}
        with pytest.raises(DependencyUnreachableError, match=r"accounts\[0\].*--unavailable-partitions"):
            await made.assignment.position(made.client)

    run_virtually(play())


def test_a_right_that_is_missing_does_not_pass() -> None:
    async def play() -> None:
        made = Made()
        made.brokers.refused = {place(USAGE, 2)}
        with pytest.raises(UNAUTHORIZED):
            await made.assignment.position(made.client)

    run_virtually(play())


def test_a_shard_that_another_process_has_now_is_not_asked_again() -> None:
    async def play() -> None:
        made = Made()
        made.brokers.away = {place(USAGE, 2)}
        await made.assignment.position(made.client)
        made.assignment.forget()
        asked = len(made.brokers.asked)
        await asyncio.sleep(3 * AGAIN_S)
        assert (len(made.brokers.asked), made.woken) == (asked, 0)

    run_virtually(play())


def test_an_answer_of_all_takes_one_question() -> None:
    async def play() -> None:
        made = Made()
        await made.assignment.position(made.client)
        assert len(made.brokers.asked) == 2  # where they begin, where they end

    run_virtually(play())


def test_each_is_asked_on_its_own_where_one_is_away() -> None:
    async def play() -> None:
        brokers = Brokers()
        brokers.away = {place(USAGE, 1)}
        answers = await ask_each(brokers.end_offsets, [place(USAGE, n) for n in range(SHARDS)])
        assert answers.found == {place(USAGE, 0): 9, place(USAGE, 2): 9}
        assert answers.silent == {place(USAGE, 1): "no answer came in time"}

    run_virtually(play())


def test_ends_of_the_others_come_and_the_silent_one_does_not_hold_them_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Reader(Brokers):
        async def start(self) -> None: ...

        async def stop(self, _timeout_s: float) -> None: ...

    async def play() -> None:
        brokers = Reader()
        monkeypatch.setattr(ends, "AiokafkaReader", lambda *_args, **_options: brokers)
        reader, now = EndsReader(Settings()), asyncio.get_running_loop().time
        brokers.away = {place(USAGE, 1)}
        everything = [place(USAGE, n) for n in range(SHARDS)]
        for _ in range(2):
            found, silent = await reader.fetch(everything)
            assert (set(found), set(silent)) == ({place(USAGE, 0), place(USAGE, 2)}, {place(USAGE, 1)})
            began = now()
        assert now() == began
        brokers.away.clear()
        await asyncio.sleep(AGAIN_S + ALONE_S + 1)
        assert set((await reader.fetch(everything)).found) == set(everything)
        await reader.close()

    run_virtually(play())


def test_a_partition_that_is_silent_for_long_holds_the_callers_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    class Reader(Brokers):
        def __init__(self) -> None:
            super().__init__()
            self.away = {place(USAGE, 1)}
            self.is_stopped = False
            opened.append(self)

        async def start(self) -> None: ...

        async def stop(self, _timeout_s: float) -> None:
            self.is_stopped = True

    async def play() -> None:
        monkeypatch.setattr(ends, "AiokafkaReader", lambda *_args, **_options: Reader())
        reader, now = EndsReader(Settings()), asyncio.get_running_loop().time
        others = {place(USAGE, 0), place(USAGE, 2)}
        waited_s = 0.0
        for _ in range(300):
            began = now()
            found, silent = await reader.fetch([place(USAGE, n) for n in range(SHARDS)])
            waited_s += now() - began
            assert (set(found), set(silent)) == (others, {place(USAGE, 1)})
            await asyncio.sleep(1)
        assert waited_s <= TOGETHER_S + ALONE_S
        assert len(opened) == 1, "nobody's connection ends for one that is silent"
        await reader.close()
        asked = len(opened[0].asked)
        await asyncio.sleep(10 * AGAIN_S)
        assert (len(opened[0].asked), opened[0].is_stopped) == (asked, True)

    run_virtually(play())


def test_a_question_on_its_way_when_it_is_closed_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader(Brokers):
        async def start(self) -> None: ...

        async def stop(self, _timeout_s: float) -> None: ...

    async def play() -> None:
        brokers = Reader()
        brokers.away = {place(USAGE, 1)}
        monkeypatch.setattr(ends, "AiokafkaReader", lambda *_args, **_options: brokers)
        reader = EndsReader(Settings())
        asking = asyncio.create_task(reader.fetch([place(USAGE, n) for n in range(SHARDS)]))
        await asyncio.sleep(1)
        await reader.close()
        await asking
        asked = len(brokers.asked)
        await asyncio.sleep(10 * AGAIN_S)
        assert len(brokers.asked) == asked

    run_virtually(play())


def test_where_none_answers_another_connection_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    class Reader(Brokers):
        def __init__(self) -> None:
            super().__init__()
            self.away = {place(USAGE, 0)} if len(opened) < 3 else set()
            opened.append(self)

        async def start(self) -> None: ...

        async def stop(self, _timeout_s: float) -> None: ...

    async def play() -> None:
        monkeypatch.setattr(ends, "AiokafkaReader", lambda *_args, **_options: Reader())
        reader = EndsReader(Settings())
        assert set((await reader.fetch([place(USAGE, 0)])).silent) == {place(USAGE, 0)}
        await asyncio.sleep(10 * (AGAIN_S + ALONE_S))
        assert (await reader.fetch([place(USAGE, 0)])).found == {place(USAGE, 0): 9}
        assert len(opened) == 4
        await reader.close()

    run_virtually(play())


def test_the_time_for_all_partitions_is_below_that_for_a_step() -> None:
    assert TOGETHER_S + ALONE_S < assignment.OFFSETS_TIMEOUT_S
