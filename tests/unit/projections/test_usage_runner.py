"""The loop of usage: days and months are summed up beside little to fold, and asked for seldom when there are none."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from meter.runtime.process.health import Health
from projections import usage
from projections.store_usage import PIECE_EVENTS, Folded, UsageStore
from projections.usage import UsageHelper, UsageRunner

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MOST = 100


class FixedClock:
    def now(self) -> datetime:
        return NOW


class FakeStore:
    """Folds what it is told, one number a call, and stops the loop after the last."""

    def __init__(self, folds: Sequence[int], months: Sequence[bool], stop: asyncio.Event, wake: asyncio.Event) -> None:
        self._folds = list(folds)
        self._months = list(months)
        self._stop, self._wake = stop, wake
        self.asked: list[datetime] = []

    async def fold(self) -> Folded:
        found = self._folds.pop(0)
        self._wake.set()
        if not self._folds:
            self._stop.set()
        return Folded(found, found)

    async def sum_up(self, now: datetime) -> bool:
        self.asked.append(now)
        return self._months.pop(0)


@pytest.mark.parametrize(
    ("folds", "months", "asked"),
    [
        ([0, 0, 0, 0, 0], [True, True, False], 3),  # piece after piece, then not at once again
        ([MOST, MOST, MOST], [], 0),  # not while there is much to fold
        ([MOST, 1, 0], [False], 1),
    ],
)
async def test_months_are_summed_up_beside_little_work(folds: list[int], months: list[bool], asked: int) -> None:
    stop, wake = asyncio.Event(), asyncio.Event()
    store = FakeStore(folds, months, stop, wake)
    runner = UsageRunner(
        cast(UsageStore, store), health=Health(), wake=wake, most_events=MOST, pause_s=0.01, clock=FixedClock()
    )
    async with asyncio.timeout(20):
        await runner.run(stop)
    assert store.asked == [NOW] * asked


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those that were asked for; none is kept."""
    asked: list[float] = []

    async def note(_event: asyncio.Event, pause_s: float) -> bool:
        asked.append(pause_s)
        return True

    monkeypatch.setattr(usage, "wait_for", note)
    return asked


class Shards:
    """Twelve with usage that waits; a transaction takes one of them."""

    def __init__(self, stop: asyncio.Event, events: int) -> None:
        self._stop, self._left, self._events = stop, 12, events

    async def fold(self) -> Folded:
        done = Folded(self._events, self._left * self._events)
        self._left -= 1
        if not self._left:
            self._stop.set()
        return done

    async def sum_up(self, _now: datetime) -> bool:
        return False


@pytest.mark.parametrize(("events", "rests"), [(1, True), (MOST, False)])
async def test_between_shards_it_rests_and_not_where_much_waits(events: int, rests: bool, pauses: list[float]) -> None:
    stop = asyncio.Event()
    runner = UsageRunner(
        cast(UsageStore, Shards(stop, events)), health=Health(), wake=asyncio.Event(), most_events=MOST, pause_s=0.5
    )
    await runner.run(stop)
    assert len(pauses) == 12 * rests
    assert pauses == sorted(pauses) and all(0 < pause <= 0.5 for pause in pauses)


class Cut:
    """Its piece takes too long twice, and then there is nothing."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop, self._left = stop, 3

    async def fold(self) -> Folded:
        self._left -= 1
        if not self._left:
            self._stop.set()
        return Folded(0, 0, is_cut=self._left > 0)

    async def sum_up(self, _now: datetime) -> bool:
        return False


async def test_a_piece_that_took_too_long_is_tried_again_at_once_and_is_no_stall(pauses: list[float]) -> None:
    """A process that ends for it would forget that the next one is smaller."""
    stop, health = asyncio.Event(), Health()
    health.watch(usage.WORK, lambda: 1)
    runner = UsageRunner(
        cast(UsageStore, Cut(stop)), health=health, wake=asyncio.Event(), most_events=MOST, pause_s=0.5
    )
    await runner.run(stop)
    assert health.progress_marks == 2 and len(pauses) == 2  # both of the last look


class Backlog:
    """Pieces that waited for so many seconds. A piece takes until the other task has begun one, or nothing is left."""

    def __init__(self, stop: asyncio.Event, waited: Sequence[float], waiting: int) -> None:
        self._stop, self._waited, self._waiting = stop, list(waited), waiting
        self.folding, self.most, self.tasks = 0, 0, set[str]()

    async def fold(self) -> Folded:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task.get_name())
        self.folding += 1
        self.most = max(self.most, self.folding)
        waited = self._waited.pop(0) if self._waited else 0.0
        if not self._waited:
            self._stop.set()
        for _ in range(5):
            await asyncio.sleep(0)
        self.folding -= 1
        return Folded(PIECE_EVENTS // 2, self._waiting, waited)

    async def sum_up(self, _now: datetime) -> bool:
        return False


@pytest.mark.parametrize(
    ("waited", "waiting", "pause_s", "rests", "tasks"),
    [
        (60.0, PIECE_EVENTS, 0.5, False, {"loop", "helper"}),
        (60.0, PIECE_EVENTS - 1, 0.5, True, {"loop"}),  # a clock that is wrong
        (5.0, PIECE_EVENTS, 0.5, True, {"loop"}),  # as far behind as the longest pause makes it
        (60.0, PIECE_EVENTS, 40, True, {"loop"}),  # and as a pause that was asked for does
    ],
)
async def test_usage_that_is_late_is_folded_without_a_rest_and_by_two(
    waited: float, waiting: int, pause_s: float, rests: bool, tasks: set[str], pauses: list[float]
) -> None:
    stop = asyncio.Event()
    store = Backlog(stop, [waited] * 20, waiting)
    runner = UsageRunner(
        cast(UsageStore, store), health=Health(), wake=asyncio.Event(), most_events=200_000, pause_s=pause_s
    )
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop), name="loop")
        group.create_task(UsageHelper(runner).run(stop), name="helper")
    assert (store.tasks, bool(pauses), store.most) == (tasks, rests, len(tasks))
