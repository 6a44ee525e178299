"""What is looked at now and then: how far the folds are behind, and which accounts nobody opened."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from meter.runtime.kafka.patience import Patience
from meter.runtime.looks import REST_S
from meter.runtime.process.health import Health
from meter.runtime.waiting import wait_for
from projections.set_aside import SetAside
from projections.store import FoldStore, ShardLag


class LagStore(Protocol):
    async def measure_lag(self) -> Sequence[ShardLag]: ...


class LagWatch:
    """Looks every `every_s`, at rest less often. Work that another process did counts as progress: a busy peer is no
    stall of ours, nor is a shard that is set aside, which a new process could not fold either."""

    def __init__(
        self, store: LagStore, health: Health, work: str, set_aside: SetAside | None = None, *, every_s: float = 1.0
    ) -> None:
        self.name = f"{work}-lag"
        self._work = work
        self._store = store
        self._health = health
        self._set_aside = set_aside
        self._every_s = every_s
        self._behind = 0
        self._folded = 0
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        self._health.watch(self._work, lambda: self._behind)
        while not stop.is_set():
            moved = False
            with self._patience.bearing():
                moved = await self.look()
            await wait_for(stop, self._every_s if moved else max(REST_S, self._every_s))

    async def look(self) -> bool:
        """Whether something is behind, or was folded since the look before."""
        lags = await self._store.measure_lag()
        apart = () if self._set_aside is None else self._set_aside.shards
        folded = sum(lag.folded for lag in lags)
        moved = folded > self._folded
        if moved:
            self._health.mark_progress(self._work)
        self._folded = folded
        self._behind = sum(lag.behind for lag in lags if lag.shard not in apart)
        self._show(lags)
        return moved or self._behind > 0

    def _show(self, lags: Sequence[ShardLag]) -> None:
        """Of every shard, in every process, those that are set aside as well."""
        metrics = self._health.metrics
        metrics.shards.set(len(lags))
        for lag in lags:
            metrics.fold_lag_events.labels(self._work, lag.shard).set(lag.behind)
            metrics.fold_lag_seconds.labels(self._work, lag.shard).set(max(0.0, lag.waits_s))


class UnopenedWatch:
    """Counts the accounts that nobody opened, for the metric: whoever opens accounts has missed them, or a producer
    writes wrong ids. Every process counts all of them."""

    name = "unopened-accounts"

    def __init__(self, store: FoldStore, health: Health, *, every_s: float = 15.0) -> None:
        self._store = store
        self._health = health
        self._every_s = every_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with self._patience.bearing():
                self._health.metrics.unopened.set(await self._store.count_unopened())
            await wait_for(stop, self._every_s)
