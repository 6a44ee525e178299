"""The clock of a run: from the first commit seen to the last, over the records between the two.

The start of the processes is left out, their steady work is not. A backlog so small that the first look already finds
all of it is timed from the start of the processes instead.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from tests.bench.footprint import Footprint, Usage

POLL_S = 0.05  # asking costs the server something too
STALL_S = 60


class Run(NamedTuple):
    """One run. `usage` by process: of what was measured, Postgres and Kafka, over the measured records."""

    per_s: float
    records: int
    seconds: float
    usage: Mapping[str, Usage]

    def cpu_per_million(self) -> dict[str, float]:
        return {name: usage.cpu_s * 1e6 / self.records for name, usage in self.usage.items()}


class Clock(NamedTuple):
    """A moment of `time.perf_counter` and how many records were taken by then."""

    started: float
    taken: int


class Seen(NamedTuple):
    """How far a run is: records taken from Kafka, and how much of what follows from them is not there yet."""

    taken: int
    behind: int


Look = Callable[[], Awaitable[Seen]]
Check = Callable[[], None]  # raises when a process that must run has ended


async def time_run(began: Clock, goal: int, look: Look, pids: Mapping[str, int], check: Check) -> Run:
    """Wait until `goal` records are taken and nothing is behind. Raises TimeoutError when nothing moves any more."""
    first = await wait_for_first(began.taken, look, check)
    clock = choose_clock(began, Clock(time.perf_counter(), first.taken), goal)
    with Footprint(pids) as footprint:
        await wait_for_all(goal, look, check)
        seconds = time.perf_counter() - clock.started
    records = goal - clock.taken
    return Run(records / seconds, records, seconds, footprint.usage)


def choose_clock(began: Clock, first: Clock, goal: int) -> Clock:
    """Count from the first commit seen, unless nothing is left to count after it."""
    return first if first.taken < goal else began


async def wait_for_first(taken: int, look: Look, check: Check) -> Seen:
    async with asyncio.timeout(STALL_S):
        while True:
            seen = await look()
            if seen.taken > taken:
                return seen
            check()
            await asyncio.sleep(POLL_S)


class Stall:
    """Tells work that goes on, however slowly, from work that does not."""

    def __init__(self, most_s: float = STALL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_s, self._clock = most_s, clock
        self._last: object = None
        self._moved = clock()

    def note(self, seen: object, doing: str) -> None:
        """Raises TimeoutError when it has been shown the same for longer than `most_s`."""
        now = self._clock()
        if seen != self._last:
            self._last, self._moved = seen, now
        if now - self._moved > self._most_s:
            raise TimeoutError(f"nothing moved for {self._most_s} s: {seen}, {doing}")


async def wait_for_all(goal: int, look: Look, check: Check) -> None:
    stall = Stall()
    while True:
        seen = await look()
        if seen.taken >= goal and seen.behind == 0:
            return
        stall.note(seen, f"{goal} records to take")
        check()
        await asyncio.sleep(POLL_S)
