"""Why a balance is what it is: an account's events as a timeline. Pure; epochs and percents are those of the fold.

Takes events one by one in the order of positions. What it keeps is bounded by the number of grants and the limit of
lines, not by the number of events.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from projections.fold import BalanceState, Kind, Step, apply, empty_state
from projections.steps import ACCOUNT_STEP_KINDS, kind_of
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
    derived: bool  # stored by the meter together with the event before it


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
    KEPT = "kept"  # granted before the account was opened: counts from the opening on
    GRANTED = "granted"
    REVERSED = "reversed"
    USED = "used"
    REACHED = "reached"
    REFUSED = "refused"
    ALLOWED = "allowed"


# The line of each kind of step of a resource; usage has runs.
LINES: Final = {
    Kind.GRANT: What.GRANTED, Kind.FREE_GRANT: What.GRANTED, Kind.OPENING: What.GRANTED, Kind.REVERSAL: What.REVERSED,
}  # fmt: skip
MOVING: Final = frozenset((What.GRANTED, What.REVERSED, What.KEPT))  # lines with an amount of their own


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
    at_start: bool = False  # the threshold was reached by the event that started the epoch: notices stay silent
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
    """Usage between two events of other kinds, while it is being added up."""

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

    def enter(self, entry: Entry, kind: Kind) -> None:
        """An event of this resource; `kind` is what it does."""
        if kind is not Kind.USAGE:
            self.act(entry, kind, self._line(LINES[kind], entry))
            return
        before = self.state
        self.state = apply(before, as_step(entry, kind))
        self._run = self._run or Run(entry.position)
        self._run_at = entry.recorded_at
        self._run.add(entry)
        self._run.milestones += self._milestones(before, entry)

    def act(self, entry: Entry, kind: Kind, line: Line | None = None) -> None:
        """All that is no usage, one by one. What happens to the account has its line there."""
        self.close_run()
        before = self.state
        self.state = apply(before, as_step(entry, kind))
        if self.state.epoch != before.epoch:
            self._ahead = list(self._thresholds)
        if line is not None:
            kept = kind is Kind.GRANT and not self.state.opened
            self.lines.append(replace(line, state=self.state, what=What.KEPT if kept else line.what))
        for milestone in self._milestones(before, entry):
            self.lines.append(milestone)

    def close_run(self) -> None:
        """The run of usage so far becomes a line, and what happened within it comes after it."""
        if self._run is not None:
            for line in (self._run.as_line(self.state, self._run_at), *self._run.milestones):
                self.lines.append(line)
        self._run = None

    def _milestones(self, before: BalanceState, entry: Entry) -> list[Line]:
        milestones = []
        at_start = self.state.epoch != before.epoch
        while self._ahead and reaches(self.state.used, self.state.allocation, self._ahead[-1]):
            threshold = self._ahead.pop()
            milestone = self._line(What.REACHED, entry, threshold, at_start=at_start)
            self.reached[self.state.epoch, threshold] = milestone
            milestones.append(milestone)
        if before.allowed != self.state.allowed:
            self.allowance_change = self._line(What.ALLOWED if self.state.allowed else What.REFUSED, entry)
            milestones.append(self.allowance_change)
        return milestones

    def _line(self, what: What, entry: Entry, threshold: int | None = None, *, at_start: bool = False) -> Line:
        moves = what in MOVING
        return Line(
            what=what, first=entry.position, last=entry.position, at=entry.recorded_at, state=self.state,
            event_id=entry.event_id, amount=entry.amount if moves else 0, name=entry.name if moves else "",
            note=entry.note if moves else None, threshold=threshold, at_start=at_start,
        )  # fmt: skip


def as_step(entry: Entry, kind: Kind) -> Step:
    return Step(kind, entry.amount, entry.position, entry.recorded_at)


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
        self._opening: Entry | None = None  # while the free allowance that was stored with it may still come

    def enter(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.events += 1
            if self._opening is not None and not entry.derived:
                self._end_opening(self._opening)
            if entry.resource is None:
                self._enter_account(entry)
            else:
                timeline = self._timeline(entry, entry.resource)
                timeline.enter(entry, self._kind(entry))

    def close(self) -> None:
        if self._opening is not None:
            self._end_opening(self._opening)
        for timeline in self.resources.values():
            timeline.close_run()

    def _enter_account(self, entry: Entry) -> None:
        line = self._account_line(entry)
        self.account.append(line)
        if line.what is What.OPENED:
            self._opening = entry

    def _kind(self, entry: Entry) -> Kind:
        kind = kind_of(entry.type, derived=entry.derived)
        return Kind.OPENING if kind is Kind.FREE_GRANT and self._opening is not None else kind

    def _end_opening(self, entry: Entry) -> None:
        """Open the balances that got no free allowance."""
        self._opening = None
        for timeline in self.resources.values():
            if not timeline.state.opened:
                timeline.act(entry, ACCOUNT_STEP_KINDS[entry.type])

    def _timeline(self, entry: Entry, resource: int) -> ResourceTimeline:
        if resource not in self.resources:
            opened = self._opened and self._opening is None
            state = empty_state(self.account_id, resource, self.shard, entry.recorded_at, opened=opened)
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
