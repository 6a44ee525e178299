"""`projections explain` for people, for pipes and as JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from meter.presentation import printable
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
from projections.timeline import Line, What
from schemas.amounts import format_amount

SHOWN_PARTS: Final = 5  # of a run of usage on a terminal; all of them in a pipe and in JSON
ELSEWHERE: Final = ("reached_event",)  # the timeline has it, at the position shown beside
PHRASES: Final = {
    What.OPENED: "opened, plan {name}",
    What.PLAN_CHANGED: "plan changed to {name}",
    What.CONTACTS_CHANGED: "contacts changed",
    What.IGNORED: "{note} {name}: without effect",
    What.GRANTED: "granted {amount}: {name}, {note}",
    What.REVERSED: "reversed {amount}: {name}",
    What.USED: "used {amount} in {events}",
    What.REACHED: "reached {threshold} %",
    What.REFUSED: "refused from here on: nothing is left",
    What.ALLOWED: "allowed from here on",
}


def show_explanation(e: Explanation, *, as_json: bool) -> None:
    """A heading, sentences and tables on a terminal; lines with their section first in a pipe; or one JSON object."""
    if as_json:
        print(json.dumps(as_document(e)))
    elif sys.stdout.isatty():
        Console().print(Group(*render(e)))
    else:
        for section in sections(e):
            for cells in (section.columns, *section.rows):
                print("\t".join((section.name, *(printable(exact(cell)) for cell in cells))))
    for note in (*notes(e), *describe_differences(e)):
        print(note, file=sys.stderr, flush=True)


def render(e: Explanation) -> list[Table | Text]:
    """Empty tables are left out."""
    account = e.account
    opened = f"plan {account.plan}, opened {account.opened_at.isoformat()}" if account else "not opened yet"
    shown: list[Table | Text] = [Text(printable(f"{e.account_id}: {opened}"), "bold")]
    shown += [Text(printable(sentence)) for sentence in summarise(e)]
    if e.timeline.account.newest:
        shown.append(render_lines("Account", list(e.timeline.account.newest)))
    for resource, timeline in timelines(e):
        shown.append(render_lines(f"Timeline of {resource.value}", list(timeline.lines.newest)))
    for name, columns, rows in sections(e)[4:]:
        if rows:
            shown.append(render_rows(name.capitalize(), columns, rows))
    return shown


def new_table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def render_lines(title: str, lines: Sequence[Line]) -> Table:
    table = new_table(title)
    for name in ("position", "recorded (UTC)", "what happened", "epoch", "left", "of", "event"):
        table.add_column(name, overflow="fold", no_wrap=name == "event")
    for line in lines:
        position = str(line.first) if line.first == line.last else f"{line.first}–{line.last}"
        state = line.state
        after = (
            (str(state.epoch), format_amount(state.remaining), format_amount(state.allocation))
            if state else ("", "", "")
        )  # fmt: skip
        at = short(line.at)
        table.add_row(position, at, Text(describe_line(line)), *after, line.event_id or "")
    return table


def describe_line(line: Line) -> str:
    fields: Mapping[str, object] = {
        "amount": format_amount(line.amount), "events": count(line.events), "name": printable(line.name),
        "note": printable(line.note), "threshold": line.threshold,
    }  # fmt: skip
    phrase = PHRASES[line.what].format_map(fields).removesuffix(", ")
    if line.what is What.GRANTED and line.state and line.state.base:
        phrase += f"; {format_amount(line.state.base)} granted before are used up and drop out"
    if line.at_start:
        phrase += " at the start of the epoch"
    if line.what is What.REVERSED and line.note:
        phrase += f", of event {fields['note']}"
    shown = [
        f"\n  {part.kind} {printable(part.name)}: {format_amount(part.amount)} in {count(part.events)}"
        for part in line.parts[:SHOWN_PARTS]
    ]
    hidden = len(line.parts) - SHOWN_PARTS
    return phrase + "".join(shown) + (f"\n  and {hidden} more" if hidden > 0 else "")


def short(cell: object) -> str:
    """Times by the second, in UTC, as everything is."""
    return f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else printable(cell)


def count(events: int) -> str:
    return f"{events} event{'' if events == 1 else 's'}"


def render_rows(title: str, columns: Sequence[str], rows: Sequence[Cells]) -> Table:
    """Without the columns that are empty or said elsewhere; long values are broken, never cut: people copy them."""
    filled = [i for i, name in enumerate(columns) if name not in ELSEWHERE and any(row[i] is not None for row in rows)]
    table = new_table(title)
    for i in filled:
        table.add_column(columns[i].replace("_", " "), overflow="fold")
    for cells in rows:
        table.add_row(*(Text(short(cells[i])) for i in filled))
    return table
