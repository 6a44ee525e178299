"""The demo's own books: what was produced, and what balances and notices must follow from it.

Kept apart from the product on purpose: it shares no code with the fold it checks, only the rules of the design.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MICRO = 1_000_000
BANNERS = (20, 50, 70, 80, 90, 100)
EMAILS = (50, 70, 80, 90)
FREE = {"model_credits": 75 * MICRO, "tool_runs": 10_000 * MICRO}


class NoticeKey(NamedTuple):
    account_id: str
    resource: str
    epoch: int
    channel: str
    threshold: int


@dataclass
class Book:
    """One account and resource, in micro-units."""

    grants: list[int]
    consumed: int = 0
    peaks: dict[int, tuple[int, int]] = field(default_factory=dict)  # epoch -> (consumed, allocation) at its highest

    @property
    def boundary(self) -> int:
        """Consumption at which the current epoch begins: earlier grants that were used up by then."""
        return self._boundary

    def __post_init__(self) -> None:
        self._boundary = 0
        self._remember()

    def use(self, amount: int) -> None:
        self.consumed += amount
        self._remember()

    def grant(self, amount: int) -> None:
        self.grants.append(amount)
        totals = [sum(self.grants[: n + 1]) for n in range(len(self.grants))]
        self._boundary = max((total for total in totals if total <= self.consumed), default=0)
        self._remember()

    @property
    def epoch(self) -> int:
        return len(self.grants)

    @property
    def allocation(self) -> int:
        return sum(self.grants) - self._boundary

    @property
    def used(self) -> int:
        return self.consumed - self._boundary

    @property
    def remaining(self) -> int:
        return sum(self.grants) - self.consumed

    def _remember(self) -> None:
        self.peaks[self.epoch] = max(self.peaks.get(self.epoch, (0, 0)), (self.used, self.allocation))


class Ledger:
    def __init__(self) -> None:
        self.books: dict[tuple[str, str], Book] = {}
        self.produced = 0
        self.duplicates = 0
        self.bad = 0

    def open(self, account_id: str) -> None:
        for resource, amount in FREE.items():
            self.books[account_id, resource] = Book([amount])

    def use(self, account_id: str, resource: str, amount: int) -> None:
        self.produced += 1
        self.books[account_id, resource].use(amount)

    def grant(self, account_id: str, resource: str, amount: int) -> None:
        self.books[account_id, resource].grant(amount)

    def notices(self) -> Iterator[NoticeKey]:
        """Every notice there must be: each line reached in each epoch, once per channel."""
        for (account_id, resource), book in self.books.items():
            for epoch, (used, allocation) in book.peaks.items():
                for channel, thresholds in (("banner", BANNERS), ("email", EMAILS)):
                    for threshold in thresholds:
                        if used * 100 >= threshold * allocation:
                            yield NoticeKey(account_id, resource, epoch, channel, threshold)
