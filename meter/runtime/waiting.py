"""Waiting: for an event with a deadline, in growing pauses, and for a loop that ends with `stop` alone.

Pauses have jitter, so that many processes that lost the same broker do not all come back at the same moment.

Loops that look every second or more rarely look together: a process at rest costs what it wakes up.
"""

import asyncio
import random
from collections.abc import Awaitable, Iterator
from typing import Final

from meter.runtime.errors import TransientError


def pauses(first_s: float, max_s: float) -> Iterator[float]:
    """`first_s`, 2·`first_s`, 4·`first_s` … up to `max_s`, each shortened by up to half at random. Never ends."""
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreading, not secrecy
        pause_s = min(pause_s * 2, max_s)


TICK_S: Final = 0.5


class Ticks:
    """When loops look: every TICK_S of the loop's clock. Each process has its own moments, or all of a host would look
    at once, and events would wait meanwhile."""

    def __init__(self) -> None:
        self._phase_s = 0.0

    def spread(self) -> None:
        self._phase_s = random.uniform(0, TICK_S)  # noqa: S311  # spreading, not secrecy

    def find_next_to(self, moment: float) -> float:
        return round((moment - self._phase_s) / TICK_S) * TICK_S + self._phase_s


TICKS: Final = Ticks()  # of the process


def end_of_rest(rest_s: float) -> float:
    """By the loop's clock: of a rest of a second or more the tick next to its end, which is a quarter of a second away
    at most."""
    end = asyncio.get_running_loop().time() + rest_s
    return end if rest_s < 2 * TICK_S else TICKS.find_next_to(end)


async def rest(rest_s: float) -> None:
    """Sleep until the end of the rest."""
    await asyncio.sleep(end_of_rest(rest_s) - asyncio.get_running_loop().time())


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until the event is set, or the rest of `timeout_s` is over (`end_of_rest`). Returns whether it is set."""
    try:
        async with asyncio.timeout_at(end_of_rest(timeout_s)):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()


async def run_until(stop: asyncio.Event, name: str, loop: Awaitable[None]) -> None:
    """Wait for a loop that has no end but `stop`. For the children of a task group, which takes one that returns, or
    that is cancelled from within, for one that has done its work: nobody would miss it.

    Raises TransientError where it was cancelled and its task was not, as by a client that gives up on what it was
    asked; RuntimeError, a bug, where it returned.
    """
    task = asyncio.current_task()
    try:
        await loop
    except asyncio.CancelledError:
        if stop.is_set() or task is None or task.cancelling():
            raise
        raise TransientError(f"{name} was cancelled from within") from None
    if not stop.is_set():
        raise RuntimeError(f"{name} ended, and nobody had stopped it")
