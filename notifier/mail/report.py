"""The loop that shows what waits in the mail queue."""

import asyncio
from typing import Final

from meter.runtime.kafka.patience import Patience
from meter.runtime.process.metrics import Metrics
from meter.runtime.waiting import wait_for
from notifier.store.port import MailQueue

PAUSE_S: Final = 15


class MailReport:
    name = "mail-report"

    def __init__(self, queue: MailQueue, metrics: Metrics, *, pause_s: float = PAUSE_S) -> None:
        self._queue = queue
        self._metrics = metrics
        self._pause_s = pause_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with self._patience.bearing():
                await self._count()
            await wait_for(stop, self._pause_s)

    async def _count(self) -> None:
        counts = await self._queue.count()
        self._metrics.waiting.labels("emails").set(counts["waiting"])
        self._metrics.emails_due.set(counts["due"])
        self._metrics.emails_overdue_seconds.set(counts["overdue_s"])
        self._metrics.emails_oldest_seconds.set(counts["oldest_s"])
        self._metrics.emails_held.set(counts["held"])
