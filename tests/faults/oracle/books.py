"""A short reference of what balances and notices must be: the rules of the design, and no line of the product.

Amounts are micro-units. Every grant starts an epoch, and so does a reversal that reaches behind the start of one, but
nothing before the opening. Reached lines are counted per epoch at its highest consumption.
"""

from dataclasses import dataclass, field

BANNERS = (20, 50, 70, 80, 90, 100)
EMAILS = (50, 70, 80, 90)
CHANNELS = {"banner": BANNERS, "email": EMAILS}


@dataclass(slots=True)
class Epoch:
    """`start` and `peak` are what was used of the allocation when it began, and at most."""

    allocation: int
    start: int
    peak: int


@dataclass(slots=True)
class Book:
    """One account and resource."""

    granted: int = 0
    consumed: int = 0
    base: int = 0
    totals: list[int] = field(default_factory=list)  # granted after each grant
    epochs: list[Epoch] = field(default_factory=list)
    reversals: int = 0
    opened: bool = False
    closed: bool = False
    bought: bool = False  # anything but the free allowance was granted

    @property
    def epoch(self) -> int:
        return len(self.epochs)

    @property
    def allocation(self) -> int:
        return self.granted - self.base

    @property
    def used(self) -> int:
        return self.consumed - self.base

    def use(self, amount: int) -> None:
        self.consumed += amount
        if self.epochs:
            self.epochs[-1].peak = max(self.epochs[-1].peak, self.used)

    def reverse(self, amount: int) -> None:
        self.consumed -= amount
        self.reversals += 1
        if self.used < 0:
            self._begin()

    def open(self, free: int) -> None:
        """The opening, with its free allowance."""
        self.opened = True
        self._add(free)

    def grant(self, amount: int) -> None:
        self.bought = True
        self._add(amount)

    def _add(self, amount: int) -> None:
        self.granted += amount
        self.totals.append(self.granted)
        if self.opened:
            self._begin()

    def revoke(self, amount: int) -> None:
        self.granted = max(0, self.granted - amount)
        self.totals = [min(total, self.granted) for total in self.totals]
        if self.opened:
            self._begin()

    def close(self) -> None:
        """Of the account. What was never opened cannot be closed."""
        self.closed = self.opened

    def reopen(self) -> None:
        self.closed = False

    def _begin(self) -> None:
        self.base = max((total for total in self.totals if total <= self.consumed), default=min(0, self.consumed))
        if self.opened:
            self.epochs.append(Epoch(self.allocation, self.used, self.used))

    @property
    def allowed(self) -> bool:
        return bool(self.epochs) and not self.closed and self.allocation > self.used

    @property
    def percent(self) -> int:
        """Whole percent, rounded down."""
        if self.allocation == 0:
            return 100 if self.used >= 0 else 0
        return max(0, self.used * 100 // self.allocation)

    @property
    def banner_kind(self) -> str:
        """Which of the three texts the banner must have."""
        if self.percent < 100:
            return "low"
        return "paid_expired" if self.bought else "free_expired"

    @property
    def banner(self) -> int | None:
        """The line the banner must show now; a closed account and one before its first epoch show none."""
        if self.closed or not self.epochs:
            return None
        return max((line for line in BANNERS if reaches(self.used, self.allocation, line)), default=None)


def reaches(used: int, allocation: int, line: int) -> bool:
    return used * 100 >= line * allocation


def lines_of(book: Book) -> dict[tuple[int, str, int], bool]:
    """Every notice there must be, as (epoch, channel, line): whether it was reached when the epoch began."""
    found = {}
    for number, epoch in enumerate(book.epochs, 1):
        for channel, lines in CHANNELS.items():
            for line in lines:
                if reaches(epoch.peak, epoch.allocation, line):
                    found[number, channel, line] = reaches(epoch.start, epoch.allocation, line)
    return found
