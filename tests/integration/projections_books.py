"""The books of a log, kept independently in Python, and whether the balances are what they say."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from meter.runtime.postgres import Pool
from tests.integration.projections_log import CREDITS, GRANTED, OPENED, REVERSED, REVOKED, RUNS, Event


@dataclass
class Book:
    """What one account has of one resource, by the rules read anew: grants are a list, used up from the front."""

    grants: list[int] = field(default_factory=list)
    consumed: int = 0
    base: int = 0
    epoch: int = 0
    opened: bool = False

    def enter(self, event: Event) -> None:
        if event.type == GRANTED:
            self.grants.append(event.amount)
            self.begin()
        elif event.type == REVOKED:
            self.take_back(event.amount)
        elif event.type == REVERSED:
            self.consumed -= event.amount
            if self.consumed < self.base:
                self.begin()
        else:
            self.consumed += event.amount

    def open(self, free: int) -> None:
        self.opened = True
        if free:
            self.grants.append(free)
        self.begin()

    def take_back(self, amount: int) -> None:
        """From the newest grant on, at most all of them."""
        for index in reversed(range(len(self.grants))):
            taken = min(amount, self.grants[index])
            self.grants[index] -= taken
            amount -= taken
        self.begin()

    def begin(self) -> None:
        self.base = min(0, self.consumed)
        if self.opened and (self.epoch or any(self.grants)):
            self.epoch += 1
            self.base = self._used_up()

    def _used_up(self) -> int:
        total, base = 0, min(0, self.consumed)
        for grant in self.grants:
            total += grant
            if total <= self.consumed:
                base = total
        return base

    def row(self) -> tuple[int, int, int]:
        """allocation, consumed, epoch"""
        return sum(self.grants) - self.base if self.epoch else 0, self.consumed - self.base, self.epoch


def keep_books(events: Iterable[Event]) -> dict[tuple[str, int], Book]:
    """The free grants that follow the first opening are part of it."""
    books: defaultdict[tuple[str, int], Book] = defaultdict(Book)
    entered: set[tuple[str, int]] = set()  # balances that an event of their own made
    opened: set[str] = set()
    waiting = list(reversed(list(events)))
    while waiting:
        event = waiting.pop()
        if event.resource is not None:
            entered.add((event.account_id, event.resource))
            books[event.account_id, event.resource].enter(event)
        elif event.type == OPENED and event.account_id not in opened:
            opened.add(event.account_id)
            free = dict.fromkeys((CREDITS, RUNS), 0)
            while waiting and waiting[-1].free and waiting[-1].account_id == event.account_id:
                grant = waiting.pop()
                assert grant.resource is not None
                entered.add((event.account_id, grant.resource))
                free[grant.resource] = grant.amount
            for resource, amount in free.items():
                books[event.account_id, resource].open(amount)
    return {key: books[key] for key in entered}


async def fetch_balances(pool: Pool) -> dict[tuple[str, int], tuple[int, int, int]]:
    rows = await pool.fetch(
        "SELECT account_id, resource, CASE WHEN epoch = 0 THEN 0 ELSE granted - base END, consumed - base, epoch "
        "FROM projections.balance_states"
    )
    return {(row[0], row[1]): tuple(row)[2:] for row in rows}


async def assert_balances(pool: Pool, events: Iterable[Event]) -> None:
    books = {key: book.row() for key, book in keep_books(events).items()}
    assert await fetch_balances(pool) == books
