"""How long a loop may rest between two looks for work that nobody told it of, and how much a look counts."""

from dataclasses import dataclass
from typing import Final

from meter.runtime.postgres.listen import Wakeups

REST_S: Final = 2.0
MOST_UNOPENED: Final = 10_000  # accounts that nobody opened are counted up to this


@dataclass(frozen=True, slots=True)
class Looks:
    """Notifications are a hint that may get lost: without `wakeups`, or while none was heard, a look every `poll_s`."""

    poll_s: float
    wakeups: Wakeups | None = None

    @property
    def rest_s(self) -> float:
        heard = self.wakeups is not None and self.wakeups.heard
        return max(REST_S, self.poll_s) if heard else self.poll_s

    def note(self, *, found: bool, told: bool) -> None:
        """A look is over. One that finds what it was not told of shows that notifications do not come."""
        if found and not told and self.wakeups is not None:
            self.wakeups.doubt()
