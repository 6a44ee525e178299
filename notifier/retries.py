"""The loop that carries out what people ask for about letters. It looks often: somebody waits for the answer."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from meter.runtime.clock import Clock
from meter.runtime.kafka.patience import Patience
from meter.runtime.postgres import Pool
from meter.runtime.waiting import wait_for
from notifier.store.retry import Retried, carry_out_next

log = structlog.get_logger(component="retries")

POLL_S: Final = 1.0


class RetryLoop:
    """Any number run side by side; each request is locked by the one that carries it out. `wake` is set for the mailer
    and the outbox when a letter is queued."""

    name = "email-retries"

    def __init__(self, pool: Pool, clock: Clock, wake: Sequence[asyncio.Event], *, poll_s: float = POLL_S) -> None:
        self._pool = pool
        self._clock = clock
        self._wake = wake
        self._poll_s = poll_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped. What does not pass goes to the caller."""
        while not stop.is_set():
            carried = None
            with self._patience.bearing():
                carried = await carry_out_next(self._pool, self._clock.now())
            if carried is None:
                await wait_for(stop, self._poll_s)
                continue
            log.info("email_retried", email_id=str(carried.email_id), outcome=carried.outcome.value)
            if carried.outcome is Retried.QUEUED:
                for event in self._wake:
                    event.set()
