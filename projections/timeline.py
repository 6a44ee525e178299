"""Why a balance is what it is: an account's events as a timeline. Pure; epochs and percents are those of the fold.

Takes events one by one in the order of positions. What it keeps is bounded by the number of grants and the limit of
lines, not by the number of events.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from projections.fold import BalanceState, Kind, Step, apply, empty_state
from projections.plan import STEP_KINDS
from schemas.events import INPUT_TYPES, CreditsGranted, UsageReversed
from schemas.exhaustion import reaches
from schemas.upcast import read_stored

MAX_PARTS: Final = 100  # names listed separately within one run of usage
OTHER_NAMES: Final = "(other names)"
KINDS: Final = {event.code: event.type.split(".")[1] for event in INPUT_TYPES.values()}
OPENED: Final = next(code for code, kind in KINDS.items() if kind == "opened")


class Entry(NamedTuple):
    """One event as stored; amounts in micro-units. `note`: reference of a grant, or the event a reversal takes back."""

    position: int
    event_id: str
    type: int
    resource: int | None
    amount: int
    name: str
    note: str | None
    recorded_at: datetime


def read_note(code: int, data: str) -> str | None:
    """The note of an `Entry` by the type code and the JSON text of its data, as stored; None where it has none."""
    match read_stored(code, data):
        case CreditsGranted(reference=reference):
            return reference
        case UsageReversed(reverses=reverses):
            return reverses
    return None


class What(StrEnum):
    OPENED = "opened"
    PLAN_CHANGED = "plan_changed"
    CONTACTS_CHANGED = "contacts_changed"
    IGNORED = "ignored"  # opened again, or changed before it was opened
    GRANTED = "granted"
    REVERSED = "reversed"
    USED = "used"
    REACHED = "reached"
    REFUSED = "refused"
    ALLOWED = "allowed"


class Part(NamedTuple):
    """Of a run of usage: what one model, guardrail, script or tool took."""

    kind: str
    name: str
    events: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that happened. Usage covers positions `first` to `last`, and what happened within it follows it."""

    what: What
    first: int
    last: int
    at: datetime
    state: BalanceState | None = None  # after it; None for what is about the account
    event_id: str | None = None  # None for a run
    amount: int = 0
    events: int = 1
    name: str = ""
    note: str | None = None
    threshold: int | None = None
    at_start: bool = False  # the threshold was reached by the grant that started the epoch: notices stay silent
    parts: tuple[Part, ...] = ()


@dataclass(slots=True)
class Lines:
    """The newest lines, and the number of older ones that were left out."""

    limit: int
    newest: deque[Line] = field(default_factory=deque)
    omitted: int = 0

    def append(self, line: Line) -> None:
        self.newest.append(line)
        if len(self.newest) > self.limit:
            self.newest.popleft()
            self.omitted += 1


@dataclass(slots=True)
class Run:
    """Usage between two grants or reversals, while it is being added up."""

    first: int
    last: int = 0
    events: int = 0
    amount: int = 0
    parts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    milestones: list[Line] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.last = entry.position
        self.events += 1
        self.amount += entry.amount
        key = (KINDS[entry.type], entry.name)
        if key not in self.parts and len(self.parts) >= MAX_PARTS:
            key = (KINDS[entry.type], OTHER_NAMES)
        events, amount = self.parts.get(key, (0, 0))
        self.parts[key] = (events + 1, amount + entry.amount)

    def as_line(self, state: BalanceState, at: datetime) -> Line:
        parts = sorted((Part(*key, *sums) for key, sums in self.parts.items()), key=lambda part: -part.amount)
        return Line(
            what=What.USED, first=self.first, last=self.last, at=at, state=state, amount=self.amount,
            events=self.events, parts=tuple(parts),
        )  # fmt: skip


class ResourceTimeline:
    """Of one resource of an account. `reached` has the line of each (epoch, threshold). `allowance_change` is the line
    at which the account was last refused or allowed again."""

    def __init__(self, state: BalanceState, thresholds: Sequence[int], limit: int) -> None:
        self.state = state
        self.lines = Lines(limit)
        self.reached: dict[tuple[int, int], Line] = {}
        self.allowance_change: Line | None = None
        self._thresholds = sorted(set(thresholds), reverse=True)
        self._ahead: list[int] = []  # not reached in this epoch, the lowest last
        self._run: Run | None = None
        self._run_at = state.as_of

    def enter(self, entry: Entry) -> None:
        before, kind = self.state, STEP_KINDS.get(entry.type, Kind.USAGE)
        if kind is not Kind.USAGE:
            self.close_run()
        self.state = apply(before, Step(kind, entry.amount, entry.position, entry.recorded_at))
        if kind is Kind.GRANT:
            self._ahead = list(self._thresholds)
        if kind is Kind.USAGE:
            self._run = self._run or Run(entry.position)
            self._run_at = entry.recorded_at
            self._run.add(entry)
            self._run.milestones += self._milestones(before, entry)
            return
        what = What.GRANTED if kind is Kind.GRANT else What.REVERSED
        for line in (self._line(what, entry), *self._milestones(before, entry)):
            self.lines.append(line)

    def close_run(self) -> None:
        """The run of usage so far becomes a line, and what happened within it comes after it."""
        if self._run is not None:
            for line in (self._run.as_line(self.state, self._run_at), *self._run.milestones):
                self.lines.append(line)
        self._run = None

    def _milestones(self, before: BalanceState, entry: Entry) -> list[Line]:
        milestones = []
        while self._ahead and reaches(self.state.used, self.state.allocation, self._ahead[-1]):
            threshold = self._ahead.pop()
            milestone = self._line(What.REACHED, entry, threshold)
            self.reached[self.state.epoch, threshold] = milestone
            milestones.append(milestone)
        if before.allowed != self.state.allowed:
            self.allowance_change = self._line(What.ALLOWED if self.state.allowed else What.REFUSED, entry)
            milestones.append(self.allowance_change)
        return milestones

    def _line(self, what: What, entry: Entry, threshold: int | None = None) -> Line:
        moves = what in (What.GRANTED, What.REVERSED)
        return Line(
            what=what, first=entry.position, last=entry.position, at=entry.recorded_at, state=self.state,
            event_id=entry.event_id, amount=entry.amount if moves else 0, name=entry.name if moves else "",
            note=entry.note if moves else None, threshold=threshold,
            at_start=threshold is not None and STEP_KINDS.get(entry.type) is Kind.GRANT,
        )  # fmt: skip


class Timeline:
    """Of one account: call `enter` with its events, then `close`. `resources` has a timeline for each resource code."""

    def __init__(self, account_id: str, shard: int, thresholds: Sequence[int], *, limit: int) -> None:
        self.account_id = account_id
        self.shard = shard
        self.account = Lines(limit)
        self.resources: dict[int, ResourceTimeline] = {}
        self.events = 0
        self._thresholds = thresholds
        self._limit = limit
        self._opened = False

    def enter(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.events += 1
            if entry.resource is None:
                self.account.append(self._account_line(entry))
            else:
                self._timeline(entry, entry.resource).enter(entry)

    def close(self) -> None:
        for timeline in self.resources.values():
            timeline.close_run()

    def _timeline(self, entry: Entry, resource: int) -> ResourceTimeline:
        if resource not in self.resources:
            state = empty_state(self.account_id, resource, self.shard, entry.recorded_at)
            self.resources[resource] = ResourceTimeline(state, self._thresholds, self._limit)
        return self.resources[resource]

    def _account_line(self, entry: Entry) -> Line:
        """The first opening wins; what comes before it has nothing to change."""
        counts = (entry.type == OPENED) != self._opened
        self._opened = self._opened or entry.type == OPENED
        kind = KINDS[entry.type]
        return Line(
            what=What(kind) if counts else What.IGNORED, first=entry.position, last=entry.position,
            at=entry.recorded_at, event_id=entry.event_id, name=entry.name, note=None if counts else kind,
        )  # fmt: skip


class FieldDifference(NamedTuple):
    """One value of a stored balance that is not what the log says; None where one side has no such balance."""

    resource: int
    field: str
    stored: str | None
    log: str | None


def compare(stored: BalanceState | None, log: BalanceState | None, resource: int) -> list[FieldDifference]:
    """Every field of the stored row against what the events add up to."""
    if stored is None or log is None:
        sides = ["a balance" if side is not None else None for side in (stored, log)]
        return [] if stored is log else [FieldDifference(resource, "balance", *sides)]
    pairs = zip(BalanceState._fields, stored, log, strict=True)
    return [FieldDifference(resource, name, str(a), str(b)) for name, a, b in pairs if a != b]
