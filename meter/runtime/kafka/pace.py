"""How long a fetch waits at the broker. Pure: times come from outside.

While little comes, the first record is sent at once, and a fetch that finds nothing costs both sides next to nothing.
While much comes, it gathers for a moment, so that fetches and transactions are few and large. Beyond MANY it gathers
for half as long: a fetch carries so much by then that one more costs little beside it.

After IDLE_S without a record a fetch may stand longer: each one that finds nothing names every partition to the broker
and back, which is most of what a service costs that has nothing to do.
"""

from typing import Final

LOOK_S: Final = 0.5  # records are counted over this long
MANY: Final = 1_000  # records in this time
IDLE_S: Final = 10.0


class FetchPace:
    """`gather_s` is the time for records to gather. More than one record in that time is much."""

    def __init__(self, gather_s: float) -> None:
        self.wait_s = 0.0
        self._waits = (0.0, gather_s, gather_s * 0.5)
        self._lines = (LOOK_S / gather_s, MANY)
        self._records = 0
        self._since: float | None = None
        self._came = 0.0  # when the last record did
        self.is_idle = False

    def note(self, records: int, now: float) -> float:
        """A poll has brought so many. For how many seconds the next fetch is to gather; 0: it brings the first."""
        if self._since is None:
            self._since = self._came = now
        if records:
            self._came = now
        self.is_idle = now - self._came >= IDLE_S
        self._records += records
        level = self._waits.index(self.wait_s)
        reached = sum(self._records > line for line in self._lines)
        level = max(level, reached)  # a burst does not wait for the end of the look
        if now - self._since >= LOOK_S:
            # Half as much to be calm again: a rate at the line would go back and forth.
            kept = sum(self._records > line / 2 for line in self._lines[:level])
            level = max(reached, kept)
            self._records, self._since = 0, now
        self.wait_s = self._waits[level]
        return self.wait_s
