"""Ids shortened to what tells them apart, for a table that does not fit a terminal. Pure.

Ids, sources and account ids have up to 128 characters and more. What is left keeps its beginning and its end around an
ellipsis, which no id contains: nobody takes a shortened one for a whole one. Two that differ still differ.
"""

from collections.abc import Collection, Sequence
from typing import Final

ELLIPSIS: Final = "…"
LEAST_CHARS: Final = 12  # what is shorter says little to people
HINT: Final = "Ids are shortened to fit: --full-ids shows them whole, and so does a pipe."


def choose_cap(widths: Sequence[int], headings: Sequence[int], excess: int) -> int | None:
    """The largest number of characters for an id at which columns of these widths lose `excess` cells, or None."""
    for cap in range(max(widths, default=0) - 1, LEAST_CHARS - 1, -1):
        saved = sum(width - max(heading, min(width, cap)) for width, heading in zip(widths, headings, strict=True))
        if saved >= excess:
            return cap
    return None


def shorten_all(values: Collection[str], cap: int) -> dict[str, str] | None:
    """Each value with what is shown of it; None where no beginning and end of this length tell all of them apart."""
    distinct = set(values)
    middle = cap // 2
    for head in sorted(range(cap), key=lambda head: abs(head - middle)):
        shown = {value: shorten(value, cap, head) for value in distinct}
        if len(set(shown.values())) == len(distinct):
            return shown
    return None


def shorten(value: str, cap: int, head: int) -> str:
    """At most `cap` characters: `head` of the beginning, the ellipsis, and the end."""
    if len(value) <= cap:
        return value
    tail = cap - head - 1
    return value[:head] + ELLIPSIS + (value[-tail:] if tail else "")
