"""Growing pauses with jitter: many processes that lost the same broker must not come back in step."""

import random
from collections.abc import Iterator


def pauses(first_s: float, max_s: float) -> Iterator[float]:
    """first, 2·first, 4·first … up to max, each shortened by up to half at random. Never ends."""
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreading, not secrecy
        pause_s = min(pause_s * 2, max_s)
