"""`projections explain` for people, for pipes and as JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from meter.presentation import for_people, for_programs, print_on_terminal, printable
from meter.short_ids import HINT
from meter.terminal_table import Rows, lay_out_table, shorten_to_fit, wrap_words
from projections.explain import Explanation
from projections.explanation_rows import (
    Cells,
    as_document,
    describe_differences,
    exact,
    notes,
    sections,
    summarise,
    timelines,
)
from projections.timeline_lines import Line, What
from schemas.amounts import format_amount
from schemas.figures import count_of
from schemas.times import say_time

SHOWN_ENTRIES: Final = 5  # of a timeline, unless everything is asked for
# Of these so many: `lines` says in words who knows of what, and `notifier notices` and `emails` have the rest.
LONG: Final[Mapping[str, int]] = {"notices": 0, "lines": 10, "emails": 5, "attempts": 0, "remarks": 5}
SHOWN_PARTS: Final = 5  # of a run of usage on a terminal; all of them in a pipe and in JSON
FOLLOWING: Final = frozenset((What.REACHED, What.REFUSED, What.ALLOWED))  # from the line before them
ELSEWHERE: Final = ("reached_event",)  # the timeline has it, at the position shown beside
IN_WORDS: Final = ("state", "reason", "letter", "at")  # `says` has them
IDS: Final = ("event", "email id", "letter")  # columns of them
TIMELINE_COLUMNS: Final = ("position", "recorded", "what happened", "epoch", "left", "of", "event")
PHRASES: Final = {
    What.OPENED: "opened, plan {name}",
    What.PLAN_CHANGED: "plan changed to {name}",
    What.CONTACTS_CHANGED: "contacts changed",
    What.RENAMED: "name or time zone changed",
    What.CLOSED: "closed",
    What.REOPENED: "reopened",
    What.FORGOTTEN: "addresses and names forgotten: {name}",
    What.IGNORED: "{change}: without effect",
    What.KEPT_CHANGE: "{change}: kept until the account is opened",
    What.GRANTED: "granted {amount}: {name}, {note}",
    What.KEPT: "granted {amount}: {name}, {note}; kept until the account is opened",
    What.REVERSED: "reversed {amount}: {name}",
    What.REVOKED: "revoked {amount}: {name}, {note}",
    What.USED: "used {amount} in {events}",
    What.REACHED: "reached {threshold} %",
    What.REFUSED: "refused from here on: {cause}",
    What.ALLOWED: "allowed from here on",
}


def show_explanation(e: Explanation, *, as_json: bool, everything: bool = False, full_ids: bool = False) -> None:
    """A heading, sentences and tables on a terminal, unless `everything` is asked for with the newest entries alone;
    lines with their section first in a pipe; or one JSON object."""
    if as_json:
        print(json.dumps(as_document(e)))
    elif sys.stdout.isatty():
        print_on_terminal(lambda width: render(e, width=width, everything=everything, full_ids=full_ids))
    else:
        for section in sections(e):
            for cells in (section.columns, *section.rows):
                print("\t".join((section.name, *(printable(for_programs(exact(cell))) for cell in cells))))
    for note in (*notes(e), *describe_differences(e)):
        print(note, file=sys.stderr, flush=True)


def render(e: Explanation, *, width: int, everything: bool = True, full_ids: bool = False) -> list[RenderableType]:
    """For a terminal of `width` character cells. Empty tables are left out."""
    account = e.account
    opened = f"plan {account.plan}, opened {say_time(account.opened_at)}" if account else "not opened yet"
    opened += ", closed" if account and account.state == "closed" else ""
    heading, *sentences = (
        "\n".join(wrap_words(printable(line), width)) for line in (f"{e.account_id}: {opened}", *summarise(e))
    )
    shown: list[RenderableType] = [Text(heading, "bold"), *map(Text, sentences)]
    cut, layout = Cut(everything), Layout(width, () if full_ids else IDS)
    if e.timeline.account.newest:
        shown += [Text(), layout.lines("Account", cut.newest_last(list(e.timeline.account.newest)))]
    for resource, timeline in timelines(e):
        lines = cut.newest_last(list(timeline.lines.newest))
        shown += [Text(), layout.lines(f"Timeline of {resource.value}", lines)]
    for name, columns, rows in sections(e)[4:]:
        if kept := cut.newest_first(name, rows):
            shown += [Text(), layout.rows(name.capitalize(), columns, kept)]
    if left_out := cut.describe():
        shown += [Text(), Text(printable(f"Left out: {left_out}. With --all they are shown."))]
    if layout.shortened:
        shown += [Text(), Text(HINT)]
    return shown


class Cut:
    """Keeps the newest entries of each list, and says what it left out: a whole history is many screens long."""

    def __init__(self, everything: bool) -> None:
        self._everything = everything
        self._older = 0
        self._left_out: list[str] = []

    def newest_last(self, lines: Sequence[Line]) -> Sequence[Line]:
        cause = start = 0 if self._everything else max(0, len(lines) - SHOWN_ENTRIES)
        while cause > 0 and lines[cause].what in FOLLOWING:  # what made the state is shown with what followed from it
            cause -= 1
        kept = [*lines[cause : min(cause + 1, start)], *lines[start:]]
        self._older += len(lines) - len(kept)
        return kept

    def newest_first(self, section: str, rows: Sequence[Cells]) -> Sequence[Cells]:
        if self._everything or section not in LONG:
            return rows
        kept = rows[: LONG[section]]
        if hidden := len(rows) - len(kept):
            self._left_out.append(count_of(hidden, section.removesuffix("s"), section))
        return kept

    def describe(self) -> str:
        older = [f"{count_of(self._older, 'older line')} of the timeline"] if self._older else []
        return ", ".join(older + self._left_out)


class Layout:
    """Tables for a terminal of one width; remembers whether an id had to be shortened."""

    def __init__(self, width: int, ids: Sequence[str]) -> None:
        self._width = width
        self._ids = ids
        self.shortened = False

    def lines(self, title: str, lines: Sequence[Line]) -> RenderableType:
        return self._table(title, TIMELINE_COLUMNS, [line_texts(line) for line in lines])

    def rows(self, title: str, columns: Sequence[str], rows: Sequence[Cells]) -> RenderableType:
        """Without the columns that are empty or shown elsewhere."""
        left_out = (*ELSEWHERE, *IN_WORDS) if "says" in columns else ELSEWHERE
        filled = [
            i for i, name in enumerate(columns) if name not in left_out and any(row[i] is not None for row in rows)
        ]
        names = [columns[i].replace("_", " ") for i in filled]
        return self._table(title, names, [[Text(short(cells[i])) for i in filled] for cells in rows])

    def _table(self, title: str, columns: Sequence[str], rows: Rows) -> RenderableType:
        shortened = shorten_to_fit(columns, rows, self._ids, width=self._width)
        self.shortened |= shortened is not None
        return lay_out_table(columns, shortened or rows, width=self._width, title=title)


def line_texts(line: Line) -> list[Text]:
    position = str(line.first) if line.first == line.last else f"{line.first}–{line.last}"
    state = line.state
    after = (
        (str(state.epoch), format_amount(state.remaining), format_amount(state.allocation)) if state else ("", "", "")
    )
    return [Text(cell) for cell in (position, short(line.at), describe_line(line), *after, line.event_id or "")]


def describe_line(line: Line) -> str:
    state = line.state
    fields: Mapping[str, object] = {
        "amount": format_amount(line.amount), "events": count(line.events), "name": printable(line.name),
        "note": printable(line.note), "change": name_change(line), "threshold": line.threshold,
        "cause": "the account is closed" if state and state.closed else "nothing is left",
    }  # fmt: skip
    phrase = PHRASES[line.what].format_map(fields).removesuffix(", ")
    if line.what is What.OPENED and line.note:
        phrase += f", left out: plan {fields['note']} was given before"
    if line.what is What.GRANTED and state and state.base > 0:
        phrase += f"; {format_amount(state.base)} granted before are used up and drop out"
    if line.at_start:
        phrase += " at the start of the epoch"
    if line.what is What.REVERSED and line.note:
        phrase += f", of event {fields['note']}"
    shown = [
        f"\n  {part.kind} {printable(part.name)}: {format_amount(part.amount)} in {count(part.events)}"
        for part in line.parts[:SHOWN_PARTS]
    ]
    hidden = len(line.parts) - SHOWN_PARTS
    return phrase + "".join(shown) + (f"\n  and {hidden:,} more" if hidden > 0 else "")


def name_change(line: Line) -> str:
    """Of an account: `plan changed team`."""
    return f"{(line.note or '').replace('_', ' ')} {printable(line.name)}".rstrip()


def short(cell: object) -> str:
    return say_time(cell) if isinstance(cell, datetime) else printable(for_people(cell))


def count(events: int) -> str:
    return count_of(events, "event")
