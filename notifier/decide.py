"""Decide which notices and which banner follow from a changed balance: pure, no IO, no clock.

The rules (see README.md): a threshold is crossed at `consumed * 100 >= threshold * allocation`, on exact integers.
Every crossing is a notice, once per epoch and channel. What is already true when an epoch starts is seeded, silently;
of several crossed at once the highest is delivered and the others are superseded. The banner is not a notice but a
state: it follows the balance up and down.
"""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from schemas.exhaustion import DEFAULT_BANNER_THRESHOLDS, DEFAULT_EMAIL_THRESHOLDS, percent_of, reaches


class Channel(StrEnum):
    BANNER = "banner"
    EMAIL = "email"


class Outcome(StrEnum):
    SEEDED = "seeded"
    SUPERSEDED = "superseded"
    DELIVERED = "delivered"
    NO_CONTACT = "no_contact"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Whole percents of exhaustion, ascending, per channel."""

    banner: tuple[int, ...] = DEFAULT_BANNER_THRESHOLDS
    email: tuple[int, ...] = DEFAULT_EMAIL_THRESHOLDS

    @classmethod
    def of(cls, banner: Iterable[int], email: Iterable[int]) -> Self:
        return cls(tuple(sorted(set(banner))), tuple(sorted(set(email))))

    def channel(self, channel: Channel) -> tuple[int, ...]:
        return self.banner if channel is Channel.BANNER else self.email


BalanceKey = tuple[str, str]  # account id, resource


@dataclass(frozen=True, slots=True)
class BalanceSnapshot:
    """A balance as of a position of its shard, in micro-units."""

    account_id: str
    resource: str
    epoch: int
    allocation: int
    consumed: int
    shard: int
    position: int
    _: KW_ONLY
    line: int = 0  # the highest line of emails at or below it, by the thresholds in force when it came; 0 for none
    as_of: datetime | None = None  # when the event it follows from was recorded
    generation: int = 1  # of the log, which counts before the position
    free_only: bool | None = None  # nothing but the free allowance was ever granted; older events do not say

    @property
    def key(self) -> BalanceKey:
        return self.account_id, self.resource

    @property
    def age(self) -> tuple[int, int]:
        """Of two snapshots the one with the higher is newer."""
        return self.generation, self.position

    @property
    def remaining(self) -> int:
        return self.allocation - self.consumed

    @property
    def percent(self) -> int:
        """Whole percent of exhaustion, rounded down: 100 is reached exactly when nothing remains."""
        return percent_of(self.consumed, self.allocation)

    def reaches(self, threshold: int) -> bool:
        """Whether the balance is at the threshold or above it. Tool runs, counted in ones, meet every line exactly."""
        return reaches(self.consumed, self.allocation, threshold)

    @property
    def is_exhausted(self) -> bool:
        """Whether calls are refused. An allocation of nothing is exhausted from the start."""
        return self.remaining <= 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A crossing of a threshold. The store records it once."""

    balance: BalanceSnapshot
    channel: Channel
    threshold: int
    outcome: Outcome
    at: datetime


Noticed = frozenset[tuple[Channel, int]]


@dataclass(frozen=True, slots=True)
class NoticeState:
    """What is known of one balance: its newest snapshot, and the (channel, threshold) pairs noticed in its epoch."""

    balance: BalanceSnapshot | None = None
    noticed: Noticed = frozenset()

    def starts_epoch(self, change: BalanceSnapshot) -> bool:
        return self.balance is None or change.epoch > self.balance.epoch


@dataclass(frozen=True, slots=True)
class Decision:
    """`state` is the one after the change. `new` is False for a change that is not newer: the state stays as it was."""

    new: bool
    state: NoticeState
    notices: tuple[Notice, ...] = ()
    banner: int | None = None


def decide(state: NoticeState, change: BalanceSnapshot, thresholds: Thresholds, at: datetime) -> Decision:
    """Decide about one change of the balance that `state` is about. A new epoch starts with nothing noticed."""
    if state.balance is not None and change.age <= state.balance.age:
        return Decision(new=False, state=state)
    starting = state.starts_epoch(change)
    noticed = frozenset() if starting else state.noticed
    notices = [
        notice
        for channel in Channel
        for notice in find_crossings(channel, noticed, change, thresholds, starting=starting, at=at)
    ]
    noticed |= {(notice.channel, notice.threshold) for notice in notices}
    return Decision(
        new=True,
        state=NoticeState(change, noticed),
        notices=tuple(notices),
        banner=find_banner(change, thresholds),
    )


def find_crossings(
    channel: Channel,
    noticed: Noticed,
    change: BalanceSnapshot,
    thresholds: Thresholds,
    *,
    starting: bool,
    at: datetime,
) -> list[Notice]:
    """The thresholds newly crossed in a channel, ascending."""
    if change.epoch < 1:
        return []  # before the first grant there is no allocation to measure by
    crossed = [
        threshold
        for threshold in thresholds.channel(channel)
        if (channel, threshold) not in noticed and change.reaches(threshold)
    ]
    # A line below one that was noticed before is new only when the thresholds were changed within the epoch.
    highest_before = max((threshold for known, threshold in noticed if known is channel), default=0)
    return [
        Notice(change, channel, threshold, judge(threshold, crossed, highest_before, starting=starting), at)
        for threshold in crossed
    ]


def judge(threshold: int, crossed: list[int], highest_before: int, *, starting: bool) -> Outcome:
    if starting:
        return Outcome.SEEDED
    if threshold == crossed[-1] and threshold > highest_before:
        return Outcome.DELIVERED
    return Outcome.SUPERSEDED


def find_line(balance: BalanceSnapshot, thresholds: Thresholds) -> int:
    """The highest line of emails that the balance reaches; 0 below the lowest, or before the first grant."""
    if balance.epoch < 1:
        return 0
    return max((threshold for threshold in thresholds.email if balance.reaches(threshold)), default=0)


def find_banner(balance: BalanceSnapshot, thresholds: Thresholds) -> int | None:
    """The highest banner threshold that the balance reaches; None below the lowest, or before the first grant."""
    if balance.epoch < 1:
        return None
    return max((threshold for threshold in thresholds.banner if balance.reaches(threshold)), default=None)
