"""The loop of the balances looks for events where there may be some, and rests where a look would find none."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from meter.runtime.looks import Looks
from meter.runtime.postgres.listen import Wakeups
from meter.runtime.process.health import Health
from projections.plan import FoldPlan, PositionRange
from projections.runner import FoldRunner
from projections.set_aside import SetAside
from projections.store import FoldStore, Plan
from tests.support.virtual_loop import run_virtually

MOST = 100
REST_S = 600


class FakeStore:
    """Each look finds what is next in `finds`: how many events, and whether others wait."""

    def __init__(self, finds: Sequence[tuple[int, bool]]) -> None:
        self.finds = list(finds)
        self.looks = 0
        self.empty = asyncio.Event()
        self.behind = [0]

    async def find_behind(self) -> list[int]:
        return self.behind

    async def fold(self, _plan: Plan, *, apart: Sequence[int] = (), only: int | None = None) -> FoldPlan | None:
        self.looks += 1
        events, more = self.finds.pop(0) if self.finds else (0, False)
        if not self.finds:
            self.empty.set()
        if events == 0:
            return None
        return FoldPlan(
            ranges=[PositionRange(0, 0, events)], events=events, consumed=[], balances=[], accounts=[], published=[],
            messages=[], more=more,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("finds", "looks"),
    [
        ([(7, False)], 1),  # all that waited: what comes wakes the loop
        ([(7, True), (7, True), (3, False)], 3),
        ([(MOST, False), (3, False)], 2),  # much: at once again
        ([(0, False)], 1),
    ],
)
def test_it_looks_again_at_once_only_where_events_wait(finds: list[tuple[int, bool]], looks: int) -> None:
    run_virtually(look_on(finds, looks))


async def look_on(finds: list[tuple[int, bool]], looks: int) -> None:
    store, stop = FakeStore(finds), asyncio.Event()
    health = Health()
    runner = FoldRunner(
        cast(FoldStore, store), health=health, set_aside=SetAside(health), published=asyncio.Event(), most_events=MOST,
        looks=Looks(REST_S),
    )  # fmt: skip
    async with asyncio.timeout(2 * REST_S), asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop))
        await store.empty.wait()
        store.finds = [(5, False)]
        store.empty.clear()
        await asyncio.sleep(REST_S / 2)  # time for many looks, which passes at once
        assert store.looks == looks
        runner.wake.set()
        await store.empty.wait()
        assert store.looks == looks + 1
        stop.set()


def test_the_first_looks_when_a_helper_is_done() -> None:
    """What comes while a helper has a shard wakes the first, which finds the shard taken: it had then rested for a
    whole look."""
    run_virtually(find_what_came_meanwhile())


async def find_what_came_meanwhile() -> None:
    health, stop = Health(), asyncio.Event()

    def make(store: FakeStore, number: int) -> FoldRunner:
        return FoldRunner(
            cast(FoldStore, store), health=health, set_aside=SetAside(health), published=asyncio.Event(),
            most_events=MOST, looks=Looks(REST_S), number=number,
        )  # fmt: skip

    firsts, helpers = FakeStore([(0, False), (5, False)]), FakeStore([(5, False)])
    first, helper = make(firsts, 0), make(helpers, 1)
    first.helped_by(helper)
    async with asyncio.timeout(3 * REST_S), asyncio.TaskGroup() as group:
        group.create_task(first.run(stop))
        await asyncio.sleep(1)
        assert firsts.looks == 1  # it rests
        group.create_task(helper.run(stop))
        await asyncio.sleep(1)
        assert firsts.looks == 2
        assert first.folded is helper.folded
        stop.set()


@pytest.mark.parametrize(("number", "doubts"), [(0, True), (1, False)])
def test_only_the_one_that_is_notified_doubts_that_notifications_come(number: int, doubts: bool) -> None:
    """The others look by themselves, and now and then are there before the first. They had doubted, so that a service
    went on looking twice a second, with every worker, for as long as nothing came."""
    run_virtually(find_by_a_look(number, doubts))


async def find_by_a_look(number: int, doubts: bool) -> None:
    store, stop, wakeups = FakeStore([(0, False), (5, False)]), asyncio.Event(), Wakeups("", "meter_events")
    wakeups.heard = True
    health = Health()
    runner = FoldRunner(
        cast(FoldStore, store), health=health, set_aside=SetAside(health), published=asyncio.Event(), most_events=MOST,
        looks=Looks(REST_S, wakeups), number=number,
    )  # fmt: skip
    async with asyncio.timeout(3 * REST_S), asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop))
        await store.empty.wait()  # the second look, after a rest
        await asyncio.sleep(REST_S / 2)
        assert wakeups.heard is not doubts
        stop.set()


def test_a_look_that_nobody_asked_for_begins_no_fold_where_nothing_is_behind() -> None:
    run_virtually(look_in_vain())


async def look_in_vain() -> None:
    store, stop, health = FakeStore([]), asyncio.Event(), Health()
    runner = FoldRunner(
        cast(FoldStore, store), health=health, set_aside=SetAside(health), published=asyncio.Event(), most_events=MOST,
        looks=Looks(REST_S),
    )  # fmt: skip
    store.behind = []
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stop))
        await asyncio.sleep(3.5 * REST_S)
        assert store.looks == 1, "the first, at the start"
        store.behind = [0]
        await asyncio.sleep(REST_S)
        assert store.looks == 2
        stop.set()
