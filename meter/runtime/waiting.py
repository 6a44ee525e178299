"""Waiting: for an event with a deadline, and in growing pauses.

Pauses have jitter, so that many processes that lost the same broker do not all come back at the same moment.
"""

import asyncio
import random
from collections.abc import Iterator


def pauses(first_s: float, max_s: float) -> Iterator[float]:
    """`first_s`, 2·`first_s`, 4·`first_s` … up to `max_s`, each shortened by up to half at random. Never ends."""
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreading, not secrecy
        pause_s = min(pause_s * 2, max_s)


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until the event is set, for at most `timeout_s`. Returns whether it is set."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()
