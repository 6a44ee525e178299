"""A dry run of other thresholds: which lines an account would have reached, and when, beside those in force. Pure.

The states are those that the notifier was told, and the rule is its own (a test holds the two together): what is
reached when an epoch begins warns nobody, of several lines reached at once only the highest warns, and a line counts
once in an epoch. Where an account is known from the middle of an epoch on, what was reached by then counts as reached
at its start.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.exhaustion import EXHAUSTED_PERCENT, reaches

MOST_LINES: Final = 20
MOST_STEPS: Final = 5_000  # states of one account that one dry run looks at
MOST_TYPED: Final = 200


class Channel(StrEnum):
    EMAIL = "email"
    BANNER = "banner"


class Outcome(StrEnum):
    """What reaching a line would have meant, as people read it."""

    WARNED = "warned"
    WITH_HIGHER = "with a higher line"
    AT_START = "reached at the start"


@dataclass(frozen=True, slots=True)
class Step:
    """A published state of one balance; amounts in micro-units."""

    resource: str
    epoch: int
    allocation: int
    consumed: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Crossing:
    step: Step
    line: int
    outcome: Outcome

    @property
    def key(self) -> tuple[str, int, int]:
        return self.step.resource, self.step.epoch, self.line


@dataclass(frozen=True, slots=True)
class Compared:
    """One line that was reached: what it meant by the lines in force, and by those that are tried. None: no line."""

    step: Step
    line: int
    in_force: Outcome | None
    tried: Outcome | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """`rows` newest first. `since` is the first state that is known, None without any."""

    tried: Sequence[int]
    in_force: Sequence[int] | None
    rows: Sequence[Compared]
    since: datetime | None

    @property
    def tried_count(self) -> int:
        return sum(row.tried is Outcome.WARNED for row in self.rows)

    @property
    def in_force_count(self) -> int:
        return sum(row.in_force is Outcome.WARNED for row in self.rows)


class LinesError(ValueError):
    """What was typed is no list of lines. The message is a whole sentence."""


def parse_lines(text: str) -> tuple[int, ...]:
    """Whole percents from 1 to 100 between commas or blanks, ascending. Raises LinesError."""
    parts = [part for part in re.split(r"[\s,;%]+", text[:MOST_TYPED]) if part]
    wrong = [part for part in parts if not re.fullmatch(r"[0-9]{1,3}", part) or not 1 <= int(part) <= EXHAUSTED_PERCENT]
    if wrong:
        raise LinesError(f"“{wrong[0][:20]}” is no line: write whole percents from 1 to 100, such as 60, 85.")
    lines = tuple(sorted({int(part) for part in parts}))
    if not 1 <= len(lines) <= MOST_LINES:
        raise LinesError(f"Write 1 to {MOST_LINES} lines in whole percents, such as 60, 85.")
    return lines


def find_crossings(steps: Iterable[Step], lines: Sequence[int]) -> list[Crossing]:
    """Each line that the states reach, once in an epoch. States come in the order of their positions."""
    epochs: dict[str, int] = {}
    ahead: dict[str, list[int]] = {}  # by resource: the lines that its epoch has not reached yet, ascending
    found = []
    for step in steps:
        starting = epochs.get(step.resource) != step.epoch
        if starting:
            epochs[step.resource], ahead[step.resource] = step.epoch, sorted(lines)
        left = ahead[step.resource]
        reached = [line for line in left if reaches(step.consumed, step.allocation, line)]
        ahead[step.resource] = left[len(reached) :]  # a state that reaches a line reaches every lower one
        found += [Crossing(step, line, judge(line, reached, starting=starting)) for line in reached]
    return found


def judge(line: int, reached: Sequence[int], *, starting: bool) -> Outcome:
    if starting:
        return Outcome.AT_START
    return Outcome.WARNED if line == reached[-1] else Outcome.WITH_HIGHER


def try_lines(steps: Sequence[Step], tried: Sequence[int], in_force: Sequence[int] | None, start: datetime) -> DryRun:
    """Both sets of lines over the same states; what was reached before `start` is left out."""
    ours = {crossing.key: crossing for crossing in find_crossings(steps, tried)}
    theirs = {crossing.key: crossing for crossing in find_crossings(steps, in_force or ())}
    # A line that both have is reached at the same state, so either tells when.
    rows = [
        Compared(one.step, one.line, outcome_of(theirs.get(key)), outcome_of(ours.get(key)))
        for key, one in (theirs | ours).items()
        if one.step.at >= start
    ]
    rows.sort(key=lambda row: (row.step.at, row.step.epoch, row.line), reverse=True)
    return DryRun(tried, in_force, rows, steps[0].at if steps else None)


def outcome_of(crossing: Crossing | None) -> Outcome | None:
    return None if crossing is None else crossing.outcome
