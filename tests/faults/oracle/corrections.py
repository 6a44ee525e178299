"""What may become of reversals and revocations: usage is reversed once, and no more of a grant is revoked than it gave.

In whatever order they were judged, what is left of an event only becomes less. So one that was refused asked for more
than is left at the end, and those that are stored never took more than the event was. The load names only what the
broker has: none may be refused as unknown, and one that came before its usage waits and is stored from its copy.
"""

from collections import Counter
from typing import Final

from tests.faults.oracle.findings import Findings
from tests.faults.truth import OPENED, REVERSED, REVOKED, Truth

REJECTED, WAITING = 4, 32  # outcomes of offsets
TOOK: Final = {
    REVERSED: "more reversed than the event was",
    REVOKED: "more revoked than the grant was",
}


class Corrections:
    """`stored` says of each number whether it is in the log."""

    def __init__(self, truth: Truth, stored: bytearray) -> None:
        self._truth = truth
        self._stored = stored
        self._taken: Counter[int] = Counter()  # by number of the event that was taken back

    def take(self, number: int) -> None:
        """A correction that is stored."""
        self._taken[self._truth.names[number]] += self._truth.amounts[number]

    def may_end_as(self, number: int, outcome: int) -> bool:
        """Whether a record of it that is not the stored one may have this outcome."""
        kind = self._truth.kinds[number]
        if outcome == WAITING:
            return kind == REVERSED
        return outcome == REJECTED and kind in TOOK and not self._stored[number]

    def may_be_refused(self, number: int) -> bool:
        if self._truth.kinds[number] not in TOOK:
            return False
        named = self._truth.names[number]
        return self._truth.amounts[number] > self._truth.amounts[named] - self._taken[named]

    def judge(self, findings: Findings) -> None:
        for named, taken in self._taken.items():
            kind = REVERSED if self._truth.kinds[named] < OPENED else REVOKED
            if taken > self._truth.amounts[named]:
                findings.add("doubled", TOOK[kind], f"number {named}: {taken} of {self._truth.amounts[named]}")
