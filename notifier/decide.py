"""What a changed balance means for the people of an account: pure, no IO, no clock.

The rules (see README.md): a threshold is crossed at `consumed * 100 >= threshold * allocation`, on exact integers.
Every crossing is a notice, once per epoch and channel. What is already true when an epoch starts is seeded, silently;
of several crossed at once the highest is delivered and the others are superseded. The banner is not a notice but a
state: it follows the balance up and down.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from schemas.exhaustion import percent_of, reaches


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

    banner: tuple[int, ...] = (20, 50, 70, 80, 90, 100)
    email: tuple[int, ...] = (50, 70, 80, 90)

    @classmethod
    def of(cls, banner: Iterable[int], email: Iterable[int]) -> Self:
        return cls(tuple(sorted(set(banner))), tuple(sorted(set(email))))

    def channel(self, channel: Channel) -> tuple[int, ...]:
        return self.banner if channel is Channel.BANNER else self.email


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

    @property
    def remaining(self) -> int:
        return self.allocation - self.consumed

    @property
    def percent(self) -> int:
        """Whole percent of exhaustion, rounded down: 100 is reached exactly when nothing remains."""
        return percent_of(self.consumed, self.allocation)

    def reaches(self, threshold: int) -> bool:
        """Exactly at the line counts: tool runs counted in ones hit every line exactly."""
        return reaches(self.consumed, self.allocation, threshold)


@dataclass(frozen=True, slots=True)
class Notice:
    """A crossing, to be recorded once."""

    balance: BalanceSnapshot
    channel: Channel
    threshold: int
    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """`new` is False for what is not newer than what is known: nothing then changes."""

    new: bool
    notices: tuple[Notice, ...] = ()
    banner: int | None = None


def decide(
    known: BalanceSnapshot | None,
    noticed: frozenset[tuple[Channel, int]],
    change: BalanceSnapshot,
    thresholds: Thresholds,
    at: datetime,
) -> Decision:
    """Decide about one change, given the balance known before it and the notices of the change's epoch so far."""
    if known is not None and change.position <= known.position:
        return Decision(new=False)
    starting = known is None or change.epoch > known.epoch
    notices = [
        notice
        for channel in Channel
        for notice in find_crossings(channel, noticed, change, thresholds, starting=starting, at=at)
    ]
    return Decision(new=True, notices=tuple(notices), banner=find_banner(change, thresholds))


def find_crossings(
    channel: Channel,
    noticed: frozenset[tuple[Channel, int]],
    change: BalanceSnapshot,
    thresholds: Thresholds,
    *,
    starting: bool,
    at: datetime,
) -> list[Notice]:
    """The lines newly crossed in a channel, ascending."""
    if change.epoch < 1:
        return []  # usage before the account is known: nobody to warn, and no allocation to measure by
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


def find_banner(balance: BalanceSnapshot, thresholds: Thresholds) -> int | None:
    """The highest line at or below the balance, whatever has been noticed before."""
    if balance.epoch < 1:
        return None
    return max((threshold for threshold in thresholds.banner if balance.reaches(threshold)), default=None)
