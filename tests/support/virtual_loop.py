"""An event loop whose time passes only while nothing else is to be done: a wait of 20 s takes a millisecond.

Sockets are real. What has been written on this machine is there to be read at once, so where nothing can be read or
written the loop waits for a timer alone, and may as well go on to it.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
LOOK_S = 0.001


class SkippingSelector(selectors.DefaultSelector):
    """Counts as passed what it was to wait for, where nothing happened meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        events = super().select(min(timeout, LOOK_S))
        if not events:
            self.skipped_s += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s. What is worked out takes no time."""

    def __init__(self) -> None:
        self._skipping = SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped_s


def run_virtually(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
