"""Two watchdogs: for work that makes no progress while more waits, and for an event loop that is blocked.

Both count their own ticks instead of reading the clock. A process that was stopped (SIGSTOP, a paused virtual machine)
and goes on must get the chance to find out that its shards were taken over.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, Self

import structlog

from meter.runtime.process.health import Health
from meter.runtime.waiting import rest

log = structlog.get_logger(component="watchdog")

# A look at the event loop wakes a thread and the loop: at rest that is a part of what a service costs.
LONGEST_TICK_S: Final = 5.0


async def watch_progress(
    health: Health, stall_s: float, end: Callable[[], None], excused: Callable[[], bool] = lambda: False
) -> None:
    """Call `end` when some work waits and none of it was stored for `stall_s`, time not counted while `excused()`."""
    tick_s = min(1.0, stall_s / 4)
    while True:
        await rest(tick_s)
        if stalled := health.find_stalled(tick_s, stall_s, excused=excused()):
            log.error("progress_stalled", work=stalled, stall_s=stall_s, report=health.report())
            end()
            return


class LoopWatch:
    """A thread that calls `end` when the event loop has run nothing for `stall_s`."""

    def __init__(self, stall_s: float, end: Callable[[], None]) -> None:
        self._stall_s = stall_s
        self._end = end
        self._ran = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(timeout=2)

    def _watch(self) -> None:
        tick_s = min(LONGEST_TICK_S, self._stall_s / 4)
        blocked_s = 0.0
        while not self._closed.is_set() and self._loop is not None:
            self._ran.clear()
            try:
                self._loop.call_soon_threadsafe(self._ran.set)
            except RuntimeError:  # the loop is closed
                return
            if self._closed.wait(tick_s):
                return
            blocked_s = 0.0 if self._ran.is_set() else blocked_s + tick_s
            if blocked_s >= self._stall_s:
                log.error("loop_blocked", stall_s=self._stall_s)
                self._end()
                return
