"""Why a balance is what it is: an account's events as a timeline. Pure; epochs and percents are those of the fold.

Takes events one by one in the order of positions. What it keeps is bounded by the number of grants and the limit of
lines, not by the number of events.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from projections.fold import BalanceState, Kind, Step, apply, empty_state
from projections.steps import ACCOUNT_STEP_KINDS, kind_of
from projections.timeline_lines import KINDS, LINES, MOVING, Entry, Line, Lines, Run, What
from schemas.exhaustion import reaches


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
        self._closed = False
        self._kept_plan: str | None = None  # of before the opening: it wins over that of the opening
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
        elif line.what in (What.CLOSED, What.REOPENED):
            self._closed = line.what is What.CLOSED
            for timeline in self.resources.values():
                timeline.act(entry, ACCOUNT_STEP_KINDS[entry.type])

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
            state = empty_state(
                self.account_id, resource, self.shard, entry.recorded_at, opened=opened, closed=self._closed
            )
            self.resources[resource] = ResourceTimeline(state, self._thresholds, self._limit)
        return self.resources[resource]

    def _account_line(self, entry: Entry) -> Line:
        kind = What(KINDS[entry.type])
        what = self._effect(kind)
        self._opened = self._opened or what is What.OPENED
        note = KINDS[entry.type] if what in (What.IGNORED, What.KEPT_CHANGE) else None
        if what is What.KEPT_CHANGE and kind is What.PLAN_CHANGED:
            self._kept_plan = entry.name
        if what is What.OPENED and self._kept_plan != entry.name:
            note = self._kept_plan
        return Line(
            what=what, first=entry.position, last=entry.position, at=entry.recorded_at, event_id=entry.event_id,
            name=entry.name, note=note,
        )  # fmt: skip

    def _effect(self, kind: What) -> What:
        """The first opening wins. What comes before it is kept; closing before it, or what is closed, does nothing."""
        if kind is What.OPENED:
            return What.IGNORED if self._opened else kind
        if kind in (What.CLOSED, What.REOPENED):
            return kind if self._opened and self._closed == (kind is What.REOPENED) else What.IGNORED
        return kind if self._opened or kind is What.FORGOTTEN else What.KEPT_CHANGE


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
