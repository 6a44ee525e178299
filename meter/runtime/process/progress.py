"""One line of progress for every service: what it did since the line before. None while nothing was done."""

import asyncio
from typing import Any, Final

import structlog

from meter.runtime.process.metrics import Metrics
from meter.runtime.waiting import wait_for

log = structlog.get_logger(component="progress")

# One line in this time instead of one per batch.
PAUSE_S: Final = 10.0
COUNTED: Final = ("records", "published", "notices", "emails", "requests")  # by their names in Metrics
WAITING: Final = {"lag": "lag_records", "behind": "fold_lag_events"}


class Progress:
    """Reads the counters of a process: the line says what /metrics says, also where nobody collects it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last: dict[str, dict[str, int]] = {}

    def take(self) -> dict[str, Any] | None:
        """What was done since the last call, by counter and outcome, and what waits now; None if nothing was done."""
        now = {name: self._metrics.read(name) for name in COUNTED}
        done = {name: difference(counts, self._last.get(name, {})) for name, counts in now.items()}
        self._last = now
        done = {name: counts for name, counts in done.items() if counts}
        if not done:
            return None
        waiting = {key: sum(counts.values()) for key, name in WAITING.items() if (counts := self._metrics.read(name))}
        return done | waiting


def difference(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    changed = {key: count - before.get(key, 0) for key, count in now.items()}
    return {key: count for key, count in changed.items() if count}


async def report_progress(metrics: Metrics, stop: asyncio.Event, pause_s: float = PAUSE_S) -> None:
    """Until `stop`; what was done since the last line is said then."""
    progress = Progress(metrics)
    while not stop.is_set():
        await wait_for(stop, pause_s)
        if (done := progress.take()) is not None:
            log.info("progress_made", **done)
