"""How many events of a shard a transaction of usage takes, where one ran into the time limit of its statements. Pure.

What an event costs has a bound, but a piece has as many events as waited: no number is right for all of them. So a
shard whose piece was cancelled is folded by itself, with half as many events each time, and with more again once it is
quick.
"""

from collections.abc import Sequence
from typing import Final

from projections.plan import PositionRange, count_events

FEWEST_EVENTS: Final = 100  # a piece that takes too long with so few of them does so for another reason
QUICK: Final = 4  # a piece that takes less than this part of the time after which one was cancelled may be doubled


class PieceSizes:
    """Of one process. It knows nothing of shards whose pieces were never cancelled."""

    def __init__(self, most_events: int) -> None:
        self._most_events = most_events
        self._sizes: dict[int, int] = {}
        self._cancelled_after_s: dict[int, float] = {}

    def is_apart(self, shard: int) -> bool:
        """Whether it is folded by itself: which one of several was too much, nobody can tell."""
        return shard in self._sizes

    def cut(self, waiting: PositionRange) -> PositionRange:
        """What may be taken of what waits in a shard."""
        most = self._sizes.get(waiting.shard, self._most_events)
        return waiting._replace(upto=min(waiting.upto, waiting.after + most))

    def note_cancelled(self, ranges: Sequence[PositionRange], took_s: float) -> bool:
        """False: nothing smaller is left to try."""
        if len(ranges) == 1 and count_events(ranges) <= FEWEST_EVENTS:
            return False
        for each in ranges:
            size = self._sizes.get(each.shard, self._most_events)
            if len(ranges) == 1:
                size = max(FEWEST_EVENTS, count_events(ranges) // 2)
            self._sizes[each.shard] = size
            self._cancelled_after_s[each.shard] = took_s
        return len(ranges) > 0

    def note_folded(self, ranges: Sequence[PositionRange], took_s: float) -> None:
        for each in ranges:
            if each.shard in self._sizes and took_s * QUICK < self._cancelled_after_s[each.shard]:
                self._sizes[each.shard] *= 2
                if self._sizes[each.shard] >= self._most_events:
                    del self._sizes[each.shard], self._cancelled_after_s[each.shard]
