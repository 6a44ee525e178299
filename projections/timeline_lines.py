"""What a timeline is made of: the events that go into it, and the lines that come out."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from projections.fold import BalanceState, Kind
from schemas.events import INPUT_TYPES, CreditsGranted, CreditsRevoked, UsageReversed
from schemas.upcast import read_stored

MAX_PARTS: Final = 100  # names listed separately within one run of usage
OTHER_NAMES: Final = "(other names)"
KINDS: Final = {event.code: event.type.split(".")[1] for event in INPUT_TYPES.values()}


class Entry(NamedTuple):
    """One event as stored; amounts in micro-units. `note`: the reference of a grant or a revocation, or the event that
    a reversal takes back."""

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
        case CreditsGranted(reference=reference) | CreditsRevoked(reference=reference):
            return reference
        case UsageReversed(reverses=reverses):
            return reverses
    return None


class What(StrEnum):
    OPENED = "opened"  # its note: the plan from before the opening that wins over its own
    PLAN_CHANGED = "plan_changed"
    CONTACTS_CHANGED = "contacts_changed"
    RENAMED = "renamed"
    CLOSED = "closed"
    REOPENED = "reopened"
    FORGOTTEN = "forgotten"
    IGNORED = "ignored"  # opened or closed again, or closed before it was opened
    KEPT = "kept"  # granted before the account was opened: counts from the opening on
    KEPT_CHANGE = "kept_change"  # plan, contacts or name from before the opening: the account has them from then on
    GRANTED = "granted"
    REVERSED = "reversed"
    REVOKED = "revoked"
    USED = "used"
    REACHED = "reached"
    REFUSED = "refused"
    ALLOWED = "allowed"


# The line of each kind of step of a resource; usage has runs.
LINES: Final = {
    Kind.GRANT: What.GRANTED, Kind.FREE_GRANT: What.GRANTED, Kind.OPENING: What.GRANTED, Kind.REVERSAL: What.REVERSED,
    Kind.REVOCATION: What.REVOKED,
}  # fmt: skip
MOVING: Final = frozenset((What.GRANTED, What.REVERSED, What.REVOKED, What.KEPT))  # lines with an amount of their own


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
