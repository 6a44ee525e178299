"""Shows the age of an outbox: of all of it in every process, so that one that no relay works at is seen as well."""

import asyncio

from meter.runtime.kafka.patience import Patience
from meter.runtime.outbox import OutboxRelay
from meter.runtime.process.health import Health
from meter.runtime.waiting import wait_for


class OutboxWatch:
    def __init__(self, relay: OutboxRelay, health: Health, *, every_s: float = 5.0) -> None:
        self.name = f"{relay.name}-age"
        self._relay = relay
        self._age = health.metrics.outbox_age_seconds.labels(relay.name)
        self._every_s = every_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with self._patience.bearing():
                self._age.set(await self._relay.measure_age())
            await wait_for(stop, self._every_s)
