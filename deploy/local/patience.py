"""How long to wait for something that starts: as long as it gets on, on a machine that may have much other work."""

import time
from collections.abc import Callable


class Patience:
    """Over when nothing got on for `still_s`, and after `most_s` in any case.

    What gets on is a sum that only grows, such as processor seconds: it counts once it has grown by `step`.
    """

    def __init__(
        self, *, still_s: float, most_s: float, step: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._still_s, self._most_s, self._step, self._clock = still_s, most_s, step, clock
        self._began = self._moved = clock()
        self._seen = 0.0

    def note(self, total: float) -> None:
        if total >= self._seen + self._step:
            self._seen, self._moved = total, self._clock()

    @property
    def over(self) -> str | None:
        """Why to wait no longer, for people; None while it is worth it."""
        now = self._clock()
        if now - self._moved > self._still_s:
            return f"it did nothing for {self._still_s:g} s"
        if now - self._began > self._most_s:
            return f"it was not ready after {self._most_s:g} s"
        return None
