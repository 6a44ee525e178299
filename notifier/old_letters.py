"""The loop that takes the bytes from letters that ended long ago: they hold an address, a name and what it is about."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from meter.runtime.kafka.patience import Patience
from meter.runtime.postgres import Pool, load_sql
from meter.runtime.waiting import wait_for

log = structlog.get_logger(component="old_letters")

POLL_S: Final = 600.0
# Of one statement, so that no transaction becomes long where years of letters are found.
MOST: Final = 1000
DAY_S: Final = 86_400.0


class OldLetters:
    """Any number run side by side: each letter is locked by the one that takes its bytes."""

    name = "old-letters"

    def __init__(self, pool: Pool, keep_days: float, *, poll_s: float = POLL_S, shards: Sequence[int] = ()) -> None:
        """`shards`: work at one of these at a time (Citus)."""
        self._pool = pool
        self._shards = shards
        self._keep_days = keep_days
        self._poll_s = poll_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped. What does not pass goes to the caller."""
        while not stop.is_set():
            dropped = 0
            with self._patience.bearing():
                dropped = max(
                    [await drop_bytes(self._pool, self._keep_days, shard) for shard in self._shards or (None,)]
                )
            if dropped:
                log.info("letter_bytes_dropped", letters=dropped, keep_days=self._keep_days)
            if dropped < MOST:
                await wait_for(stop, self._poll_s)


async def drop_bytes(pool: Pool, keep_days: float, shard: int | None = None) -> int:
    """Of at most `MOST` letters, of any shard or of one; how many it were."""
    return int(await pool.fetchval(load_sql("notifier", "drop_letter_bytes"), keep_days * DAY_S, MOST, shard))
