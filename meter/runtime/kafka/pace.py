"""How long a fetch waits at the broker. Pure: times come from outside.

While little comes, the first record is sent at once, and a fetch that finds nothing costs both sides next to nothing.
While much comes, it gathers for a moment, so that fetches and transactions are few and large.
"""

from typing import Final

LOOK_S: Final = 0.5  # records are counted over this long


class FetchPace:
    """`gather_s` is the time for records to gather. More than one record in that time is much."""

    def __init__(self, gather_s: float) -> None:
        self.gathers = False
        self._much = LOOK_S / gather_s
        self._records = 0
        self._since: float | None = None

    def note(self, records: int, now: float) -> bool:
        """A poll has brought so many. Whether the next fetch is to gather."""
        if self._since is None:
            self._since = now
        self._records += records
        if self._records > self._much:  # a burst does not wait for the end of the look
            self.gathers = True
        if now - self._since >= LOOK_S:
            # Half as much to be calm again: a rate at the line would go back and forth.
            self.gathers = self._records > (self._much / 2 if self.gathers else self._much)
            self._records, self._since = 0, now
        return self.gathers
