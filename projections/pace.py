"""How long a fold rests between two transactions. Pure.

What a transaction costs beside its events, and the lines that these share, make small ones dear: so pieces grow with
the load, up to a pause that people hardly notice.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pace:
    """`per_event_s`: up to so many events a second as fit into one, the shortest pause is kept; beyond, each piece is
    larger than the one before until the pause is the longest."""

    per_event_s: float
    longest_s: float

    def choose_pause(self, folded: int, shortest_s: float) -> float:
        return max(shortest_s, min(self.longest_s, folded * self.per_event_s))

    def share_pause(self, folded: int, together: int, shortest_s: float) -> float:
        """After a piece of some shards: its share of the pause after one of all, which would have `together` events."""
        return self.choose_pause(together, shortest_s) * (min(1.0, folded / together) if folded else 1)

    def is_late(self, waits_s: float, shortest_s: float) -> bool:
        """Whether what waited for so long is further behind than pauses make it: after a backlog, which needs none."""
        return waits_s > 2 * max(self.longest_s, shortest_s)


BALANCES: Final = Pace(20e-6, 0.15)
USAGE: Final = Pace(400e-6, 3.0)
