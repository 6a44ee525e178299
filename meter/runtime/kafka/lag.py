"""How far a consumer is behind what is on the broker, by partition, in records and in seconds. Pure.

Lag reaches to the high watermark. A consumer reads to the last stable offset only, where an open transaction holds it
back: measured to there, a partition that stands still would show none.
"""

from collections import deque
from typing import Final, NamedTuple

MOST_SAMPLES: Final = 1_000


class PartitionLag(NamedTuple):
    """Offsets are the broker's. `records` are not stored yet; `held_back` of them lie behind an open transaction."""

    topic: str
    shard: int
    stored: int  # the database expects it next
    stable: int  # nothing from here on is read while a transaction is open
    end: int
    records: int

    @property
    def held_back(self) -> int:
        return self.end - self.stable


class LagClock:
    """Since when one partition is behind, and since when a transaction holds it back.

    Ends of the partition are remembered with the time at which they were seen: a partition is behind since the first
    end beyond what is stored. Timestamps of records are the producers', and prove nothing.
    """

    def __init__(self) -> None:
        self._ends: deque[tuple[float, int]] = deque()
        self._stable = -1
        self._held_since: float | None = None

    def note(self, lag: PartitionLag, now: float) -> tuple[float, float]:
        """Seconds behind, seconds held back."""
        return self._note_end(lag, now), self._note_stable(lag, now)

    def _note_end(self, lag: PartitionLag, now: float) -> float:
        if lag.records == 0:
            self._ends.clear()
            return 0.0
        if not self._ends or lag.end > self._ends[-1][1]:
            self._ends.append((now, lag.end))
        while len(self._ends) > 1 and self._ends[0][1] <= lag.stored:
            self._ends.popleft()
        if len(self._ends) > MOST_SAMPLES:  # a long outage: every other one still tells it well enough
            self._ends = deque([*self._ends][::2])
        return now - self._ends[0][0]

    def _note_stable(self, lag: PartitionLag, now: float) -> float:
        if lag.held_back <= 0:
            self._held_since = None
        elif self._held_since is None or lag.stable != self._stable:
            self._held_since = now  # transactions that end one after another hold nobody back for long
        self._stable = lag.stable
        return 0.0 if self._held_since is None else now - self._held_since
