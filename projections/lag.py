"""How far the folds are behind, for the metrics and the watchdog."""

import asyncio
from typing import Protocol

from meter.runtime.process.health import Health
from meter.runtime.waiting import wait_for
from projections.store import Lag


class LagStore(Protocol):
    async def measure_lag(self) -> Lag: ...


class LagWatch:
    """Looks every `every_s`. Work that another process did counts as progress: a busy peer is no stall of ours."""

    def __init__(self, store: LagStore, health: Health, work: str, *, every_s: float = 1.0) -> None:
        self.name = f"{work}-lag"
        self._work = work
        self._store = store
        self._health = health
        self._every_s = every_s
        self._last = Lag(0, 0, 0)

    async def run(self, stop: asyncio.Event) -> None:
        self._health.watch(self._work, lambda: self._last.behind)
        while not stop.is_set():
            await self.look()
            await wait_for(stop, self._every_s)

    async def look(self) -> None:
        lag = await self._store.measure_lag()
        if lag.folded > self._last.folded:
            self._health.mark_progress(self._work)
        self._last = lag
        self._health.metrics.shards.set(lag.shards)
