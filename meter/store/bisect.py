"""Find the rows that the database refuses, by halving: n attempts for one culprit among 2^n rows."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import NamedTuple

from schemas.records import Accepted


class Fault(Enum):
    KNOWN = "known"  # the event id is stored already
    UNSTORABLE = "unstorable"  # a value the database does not take


class Refusal(NamedTuple):
    fault: Fault
    detail: str


Attempt = Callable[[Sequence[Accepted]], Awaitable[Refusal | None]]


async def find_refused(rows: Sequence[Accepted], attempt: Attempt) -> list[tuple[Accepted, Refusal]]:
    """Rows that fail on their own, with the reason. `attempt` tries to store rows, undoes it, says what happened."""
    refusal = await attempt(rows) if rows else None
    if refusal is None:
        return []
    if len(rows) == 1:
        return [(rows[0], refusal)]
    middle = len(rows) // 2
    return [*await find_refused(rows[:middle], attempt), *await find_refused(rows[middle:], attempt)]
