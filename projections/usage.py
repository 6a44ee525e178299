"""The loop of the usage projection; what it does is in `store_usage.py`."""

import asyncio
import time
from typing import Final

from meter.runtime.clock import Clock, SystemClock
from meter.runtime.looks import Looks
from meter.runtime.process.health import Health
from meter.runtime.process.metrics import begin
from meter.runtime.waiting import wait_for
from projections.pace import USAGE
from projections.store_usage import PIECE_EVENTS, Folded, UsageStore

WORK: Final = "usage-fold"
SUMS_PAUSE_S: Final = 60.0  # between two questions whether a day or a month is over


class UsageRunner:
    """The loop. Any number run; each takes shards that no other has."""

    name = "usage"

    def __init__(
        self,
        store: UsageStore,
        *,
        health: Health,
        wake: asyncio.Event,
        most_events: int,
        pause_s: float,
        looks: Looks | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`wake` is set when balances were folded: usage follows them."""
        self.late = asyncio.Event()  # for those that help
        self._store = store
        self._health = health
        self.wake = wake
        self._most_events = most_events
        self._pause_s = pause_s
        self._looks = looks or Looks(pause_s)
        self._clock = clock or SystemClock()
        self._sums_at_s = 0.0
        begin(health.metrics.records, ["usage_folded"])

    async def run(self, stop: asyncio.Event) -> None:
        """Fold until stopped; at once while there is much or it is late, else after the pause. Errors go to the
        caller."""
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: self.wake.set())
        try:
            while not stop.is_set():
                self.wake.clear()
                done = await self.fold()
                summed = done.together * 2 < self._most_events and await self._sum_up()
                if done.is_cut:
                    continue
                if done.events == 0 and not summed:
                    await wait_for(self.wake, self._looks.rest_s)
                if self.is_late(done):
                    self.late.set()
                elif done.together < self._most_events:
                    await wait_for(stop, USAGE.share_pause(done.events, done.together, self._pause_s))
        finally:
            stopped.cancel()

    def is_late(self, done: Folded) -> bool:
        return done.waiting >= PIECE_EVENTS and USAGE.is_late(done.waits_s, self._pause_s)

    async def fold(self) -> Folded:
        started = time.monotonic()
        done = await self._store.fold()
        if done.events or done.is_cut:  # another process would begin with the large piece again
            self._health.mark_progress(WORK)
        if done.events:
            self._health.metrics.records.labels("usage_folded").inc(done.events)
            self._health.metrics.batch_records.labels("fold_usage").observe(done.events)
            self._health.metrics.step_seconds.labels("fold_usage").observe(time.monotonic() - started)
        return done

    async def _sum_up(self) -> bool:
        """A piece of days and months that are over, where the fold has time. Whether there may be more at once."""
        if time.monotonic() < self._sums_at_s:
            return False
        if await self._store.sum_up(self._clock.now()):
            return True
        self._sums_at_s = time.monotonic() + SUMS_PAUSE_S
        return False


class UsageHelper:
    """Folds a piece beside the loop whenever usage is late: after an outage it is up to date in half the time."""

    name = "usage-helper"

    def __init__(self, runner: UsageRunner) -> None:
        self._runner = runner

    async def run(self, stop: asyncio.Event) -> None:
        late = self._runner.late
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: late.set())
        try:
            while True:
                await late.wait()
                late.clear()
                if stop.is_set():
                    return
                done = await self._runner.fold()
                if done.events:
                    self._runner.wake.set()  # it may have found nothing because this one had it
                if done.is_cut or self._runner.is_late(done):
                    late.set()
        finally:
            stopped.cancel()
