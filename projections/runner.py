"""The fold's loop: receive → plan (pure) → transact → acknowledge → log.

The store's transaction spans receiving and writing; what acknowledges is the cursor inside it. A crash anywhere leaves
the cursor where it was, so nothing is lost and nothing is folded twice.

What a repeat does not cure is most often in the events of one shard: that shard is set aside, and the others go on.
"""

import asyncio
import random
import time
from itertools import chain, repeat

import structlog

from meter.runtime.clock import Clock, SystemClock
from meter.runtime.failures import is_transient
from meter.runtime.looks import Looks
from meter.runtime.postgres import MISCONFIGURED
from meter.runtime.process.health import Health
from meter.runtime.process.metrics import begin
from meter.runtime.waiting import wait_for
from projections.pace import BALANCES
from projections.plan import FoldPlan, plan
from projections.set_aside import SetAside
from projections.store import FoldStore
from projections.tracing import fold_spans

log = structlog.get_logger(component="fold")
WORK = "balance-fold"


class FoldRunner:
    """One worker. Any number run, in any number of processes; each skips the shards that another has claimed."""

    def __init__(
        self,
        store: FoldStore,
        *,
        health: Health,
        set_aside: SetAside,
        published: asyncio.Event,
        most_events: int,
        pause_s: float = 0.008,
        looks: Looks | None = None,
        number: int = 0,
        singly: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Only the first, of `number` 0, is woken by notifications. `singly`: a transaction for each shard, where
        tables are distributed."""
        self.name = f"fold-{number}"
        self._helps = number > 0
        self._singly = singly
        self.wake = asyncio.Event()
        self.folded = asyncio.Event()  # for those that follow the balances
        self._helpers: list[asyncio.Event] = []
        self._helped: asyncio.Event | None = None
        self._store = store
        self._health = health
        self._set_aside = set_aside
        self._published = published
        self._most_events = most_events
        self._pause_s = pause_s
        self._looks = looks or Looks(0.5)
        self._clock = clock or SystemClock()
        self._more = False
        begin(health.metrics.records, ["folded"])
        health.metrics.latency.begin("balance")

    def helped_by(self, other: "FoldRunner") -> None:
        """`other` is woken while there is more than one transaction takes. Those that follow this one follow both, and
        this one looks when `other` is done: it may have been woken, and have found nothing because `other` had it."""
        self._helpers.append(other.wake)
        other._helped, other.folded = self.wake, self.folded

    async def run(self, stop: asyncio.Event) -> None:
        """Fold until stopped; woken by `wake`, and now and then in any case. Errors that are of no shard go to the
        caller."""
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: self.wake.set())
        told = True
        try:
            while not stop.is_set():
                self.wake.clear()
                folded = await self.fold() if told or await self._is_behind() else 0
                if not self._helps:  # what another one finds by chance has been told to the first
                    self._looks.note(found=folded > 0, told=told)
                told = True
                if folded and self._helped is not None:
                    self._helped.set()
                if folded * 2 >= self._most_events:
                    for wake in self._helpers:
                        wake.set()
                    continue
                if folded:
                    await wait_for(stop, BALANCES.choose_pause(folded, self._pause_s))
                if not self._more:  # what is stored since then has woken this one: a look would find nothing
                    told = await wait_for(self.wake, self._looks.rest_s)
        finally:
            stopped.cancel()

    async def _is_behind(self) -> bool:
        """One statement where nobody has told of anything; a fold that finds nothing is three."""
        return bool(self._set_aside.due() or await self._store.find_behind())

    async def fold(self) -> int:
        """Fold once, and what was set aside where its pause is over; how many events."""
        self._more = False
        folded = sum([await self._fold_shard(shard) for shard in self._set_aside.due()])
        if self._singly:
            return folded + await self._fold_each()
        started = time.monotonic()
        try:
            done = await self._store.fold(plan, apart=self._set_aside.shards)
        except Exception as error:
            if not is_of_shard(error):
                raise
            return folded + await self._fold_each()
        return folded + self._finish(done, started)

    async def _fold_each(self) -> int:
        apart = self._set_aside.shards
        behind = [shard for shard in await self._store.find_behind() if shard not in apart]
        random.shuffle(behind)  # other workers are at them as well
        return sum([await self._fold_shard(shard) for shard in behind])

    async def _fold_shard(self, shard: int) -> int:
        """One by itself: if it fails, it is known which one it is."""
        started = time.monotonic()
        try:
            done = await self._store.fold(plan, only=shard)
        except Exception as error:
            if not is_of_shard(error):
                raise
            self._set_aside.add(shard, error)
            return 0
        if done is not None or shard not in await self._store.find_behind():  # another process may have folded it
            self._set_aside.remove([shard])
        return self._finish(done, started)

    def _finish(self, done: FoldPlan | None, started: float) -> int:
        if done is None:
            return 0
        self._more |= done.more
        self.folded.set()
        if done.messages:
            self._published.set()
        self._note(done, time.monotonic() - started)
        return done.events

    def _note(self, done: FoldPlan, duration_s: float) -> None:
        self._health.mark_progress(WORK)
        self._health.metrics.records.labels("folded").inc(done.events)
        self._health.metrics.batch_records.labels("fold").observe(done.events)
        now = self._clock.now()
        times = [state.as_of for state in chain(done.consumed, done.balances)]
        times += chain.from_iterable(repeat(part.as_of, part.balances) for part in done.added)
        self._health.metrics.latency.observe("balance", [(now - as_of).total_seconds() for as_of in times])
        self._health.metrics.step_seconds.labels("fold").observe(duration_s)
        for span in fold_spans(done.causes, now):
            self._health.traces.record(span)
        log.debug(
            "events_folded",
            events=done.events,
            shards=len(done.ranges),
            messages=len(done.messages),
            duration_ms=round(duration_s * 1000, 1),
        )


def is_of_shard(error: Exception) -> bool:
    """Whether it may be of the events of one shard. A lost database and missing rights are not."""
    return not is_transient(error) and not isinstance(error, MISCONFIGURED)
