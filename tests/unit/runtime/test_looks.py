"""How often a loop looks by itself: rarely while notifications come, often as soon as one was missed."""

import asyncio
from datetime import datetime
from typing import Any

from meter.runtime.looks import REST_S, Looks
from meter.runtime.postgres.listen import Wakeups
from meter.runtime.process.health import Health
from projections.store_usage import Folded
from projections.usage import UsageRunner
from tests.support import until


def make_wakeups(*events: asyncio.Event) -> Wakeups:
    return Wakeups("postgresql://user@127.0.0.1:1/none", "meter_events", *events)


def test_looks_are_frequent_until_a_notification_was_heard() -> None:
    woken = asyncio.Event()
    wakeups = make_wakeups(woken)
    looks = Looks(0.5, wakeups)
    assert looks.rest_s == 0.5
    wakeups._on_notify(None, 1, "meter_events", "7")
    assert looks.rest_s == REST_S and woken.is_set()


def test_work_that_nobody_told_of_makes_them_frequent_again() -> None:
    wakeups = make_wakeups()
    looks = Looks(0.5, wakeups)
    wakeups._on_notify(None, 1, "meter_events", "7")
    for found, told in ((True, True), (False, True), (False, False)):
        looks.note(found=found, told=told)
        assert looks.rest_s == REST_S
    looks.note(found=True, told=False)
    assert looks.rest_s == 0.5


def test_a_pause_that_somebody_chose_is_never_shortened() -> None:
    wakeups = make_wakeups()
    wakeups._on_notify(None, 1, "meter_events", "7")
    assert Looks(30, wakeups).rest_s == 30 and Looks(30).rest_s == 30


class Balances:
    """What the balances have folded and usage has not."""

    def __init__(self) -> None:
        self.ready = self.looks = self.folded = 0

    async def fold(self) -> Folded:
        self.looks += 1
        done, self.ready = self.ready, 0
        self.folded += done
        return Folded(done, done)

    async def sum_up(self, _now: datetime) -> bool:
        return False


async def test_usage_follows_the_balances_when_it_is_woken_and_rests_meanwhile() -> None:
    store, wake, stop = Balances(), asyncio.Event(), asyncio.Event()
    made: Any = store
    usage = UsageRunner(made, health=Health(), wake=wake, most_events=100, pause_s=0.001, looks=Looks(3600))
    running = asyncio.create_task(usage.run(stop))
    for count in (3, 4):
        await until(lambda: not wake.is_set())
        looks = store.looks
        store.ready = count
        wake.set()
        await until(lambda: store.ready == 0 and store.looks > looks)  # noqa: B023  # awaited at once
    stop.set()
    await running
    assert store.folded == 7 and store.looks < 10
