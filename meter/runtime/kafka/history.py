"""Whether a database went back in time: it expects offsets that it stored before.

Kafka's committed offsets follow the database, so one above the stored offset proves it; so does an offset that this
very process stored. A restored backup does it, and a fail-over to a server that lacked the last commits.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meter.runtime.errors import RefusalError


class HistoryLostError(RefusalError):
    """The database is behind what was stored before."""


class Behind(NamedTuple):
    """Of one partition: the offset that the database wants next, and one up to which everything was stored before."""

    topic: str
    shard: int
    stored: int
    known: int


class History:
    """What this process stored, for as long as it lives: a new consumer after a lost connection has it still."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], int] = {}

    def note(self, topic: str, shard: int, end: int) -> None:
        self._ends[topic, shard] = max(end, self._ends.get((topic, shard), 0))

    def stored(self) -> dict[tuple[str, int], int]:
        """What this process stored up to now."""
        return dict(self._ends)

    def find_behind(
        self, stored: Mapping[tuple[str, int], int], committed: Mapping[tuple[str, int], int]
    ) -> list[Behind]:
        known = {place: max(committed.get(place, 0), self._ends.get(place, 0)) for place in stored}
        return [Behind(*place, stored[place], end) for place, end in sorted(known.items()) if end > stored[place]]

    def check(self, stored: Mapping[tuple[str, int], int], committed: Mapping[tuple[str, int], int]) -> None:
        """Raises HistoryLostError. `committed` must be older than `stored`: a writer commits after it stored."""
        if behind := self.find_behind(stored, committed):
            raise HistoryLostError(explain_behind(behind))


def explain_behind(behind: Iterable[Behind]) -> str:
    details = "; ".join(
        f"{topic}[{shard}] is wanted from {stored} on, and was stored up to {known}"
        for topic, shard, stored, known in behind
    )
    return (
        f"the database went back in time: {details}. It was restored, or another server took over that lacked the last "
        "commits. This process has stored nothing more of these partitions. Stop meter, projections and notifier, and "
        "run `meter recover`."
    )
