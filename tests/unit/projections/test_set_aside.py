"""A shard whose fold fails is set aside by itself, loudly, and tried again in growing pauses."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from meter.runtime.process.health import Health
from projections.plan import FoldPlan, LogDamagedError, PositionRange
from projections.runner import FoldRunner
from projections.set_aside import LONGEST_PAUSE_S, SetAside
from projections.store import Plan


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeStore:
    """Every shard has one event until it is folded; those of `bad` cannot be."""

    def __init__(self, shards: int, bad: dict[int, Exception]) -> None:
        self.waiting = set(range(shards))
        self.bad = bad
        self.calls: list[list[int]] = []

    async def fold(self, _plan: Plan, *, apart: Sequence[int] = (), only: int | None = None) -> FoldPlan | None:
        wanted = self.waiting - set(apart) if only is None else self.waiting & {only}
        self.calls.append(sorted(wanted))
        for shard in sorted(wanted & self.bad.keys()):
            raise self.bad[shard]
        self.waiting -= wanted
        ranges = [PositionRange(shard, 0, 1) for shard in sorted(wanted)]
        if not ranges:
            return None
        return FoldPlan(
            ranges=ranges, events=len(ranges), consumed=[], balances=[], accounts=[], published=[], messages=[]
        )

    async def find_behind(self) -> list[int]:
        return sorted(self.waiting)


class Made:
    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.health = Health()
        self.health.set_opened()
        self.clock = Clock()
        self.set_aside = SetAside(self.health, clock=self.clock)
        more: Any = store
        self.runner = FoldRunner(
            more, health=self.health, set_aside=self.set_aside, published=asyncio.Event(), most_events=100
        )

    @property
    def faults(self) -> dict[str, str]:
        faults = self.health.report()["faults"]
        assert isinstance(faults, dict)
        return faults


DAMAGED = LogDamagedError("shard 1: of the events at positions 1 to 10 only 9 of 10 are in meter.events")


async def test_the_others_are_folded_and_readiness_names_the_shard() -> None:
    made = Made(FakeStore(3, {1: DAMAGED}))
    assert await made.runner.fold() == 2
    assert made.store.waiting == {1}
    assert not made.health.ready
    assert list(made.faults) == ["shard 1"]
    assert "only 9 of 10" in made.faults["shard 1"]
    assert b"metering_shards_set_aside 1.0" in made.health.metrics.render()


async def test_it_is_left_alone_until_its_pause_is_over_and_pauses_grow() -> None:
    made = Made(FakeStore(2, {1: DAMAGED}))
    await made.runner.fold()
    tried = []
    for _second in range(4000):
        made.store.calls.clear()
        await made.runner.fold()
        if [1] in made.store.calls:
            tried.append(made.clock.now)
        made.clock.now += 1
    pauses = [after - before for before, after in pairwise(tried)]
    assert pauses[0] <= 2
    assert LONGEST_PAUSE_S / 2 <= max(pauses) <= LONGEST_PAUSE_S + 1
    assert len(tried) < 40


async def test_once_it_can_be_folded_all_is_as_before() -> None:
    made = Made(FakeStore(2, {1: DAMAGED}))
    await made.runner.fold()
    made.store.bad.clear()
    made.clock.now += LONGEST_PAUSE_S
    assert await made.runner.fold() == 1
    assert made.set_aside.shards == []
    assert made.health.ready
    assert b"metering_shards_set_aside 0.0" in made.health.metrics.render()


async def test_what_another_process_folded_is_not_set_aside_any_more() -> None:
    made = Made(FakeStore(2, {1: DAMAGED}))
    await made.runner.fold()
    made.store.waiting.clear()
    made.clock.now += LONGEST_PAUSE_S
    await made.runner.fold()
    assert made.health.ready


@pytest.mark.parametrize(
    "error", [ConnectionResetError("gone"), asyncpg.InsufficientPrivilegeError("permission denied for table events")]
)
async def test_a_lost_database_and_missing_rights_are_of_no_shard(error: Exception) -> None:
    made = Made(FakeStore(2, {1: error}))
    with pytest.raises(type(error)):
        await made.runner.fold()
    assert made.set_aside.shards == []
