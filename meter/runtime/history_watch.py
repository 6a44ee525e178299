"""Notices a database that went back in time while nothing comes to be stored.

A service that works meets it at once: the next batch finds other offsets than it expects. One that idles would go on
for hours in front of a restored database, or of a promoted server that lacked the last commits.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from meter.runtime.kafka.history import Behind, History, HistoryLostError, explain_behind
from meter.runtime.kafka.patience import Patience
from meter.runtime.waiting import wait_for

EVERY_S: Final = 5.0


class OffsetStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]: ...


class HistoryWatch:
    name = "history"

    def __init__(
        self,
        history: History,
        store: OffsetStore,
        topics: Sequence[str],
        assigned: Callable[[], Collection[int]],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._history = history
        self._store = store
        self._topics = topics
        self._assigned = assigned
        self._every_s = every_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not await wait_for(stop, self._every_s):
            with self._patience.bearing():
                await self.look()

    async def look(self) -> None:
        """Raises HistoryLostError. What was stored is read before the database is asked: it moves on meanwhile."""
        known = self._history.stored()
        shards = sorted(self._assigned())
        if not known or not shards:
            return
        stored = await self._store.fetch_offsets(self._topics, shards)
        behind = [
            Behind(*place, stored[place], end)
            for place, end in sorted(known.items())
            if place in stored and end > stored[place]
        ]
        if behind:
            raise HistoryLostError(explain_behind(behind))
