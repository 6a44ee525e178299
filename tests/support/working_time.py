"""How long something took while the machine worked, for limits that are what is tried.

A machine that runs tests stands still for seconds now and then: all that was to happen in them happens late, whoever
was quick. So a thread looks at the clock again and again, and where it comes to that late itself, nobody here could
have been in time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOOK_S: Final = 0.02
MOST_S: Final = 0.2  # of what passed between two looks


class WorkingTime:
    """Seconds that were worked, and that passed, since it was made. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last = clock()
        self.worked_s = 0.0
        self.passed_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        now = self._clock()
        self.passed_s += now - self._last
        self.worked_s += min(now - self._last, MOST_S)
        self._last = now

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()
        self.look()


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """What is done here takes less than `limit_s` of work. Raises AssertionError where it took longer.

    It ends nothing that hangs: that takes a deadline of its own, long enough for a machine that stands still.
    """
    working = WorkingTime()
    working.start()
    try:
        yield
    finally:
        working.stop()
    took = f"took {working.worked_s:.1f} s of work ({working.passed_s:.1f} s passed)"
    assert working.worked_s < limit_s, f"{took}, and may take {limit_s:g}"
