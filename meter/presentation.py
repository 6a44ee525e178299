"""Output for people and pipes. Nothing from a record reaches a terminal unescaped: it may hold control sequences."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from meter.runtime.environment import variable
from meter.runtime.process.terminal import fit, fit_beside, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from meter.runtime.settings import Settings

__all__ = [
    "describe_bytes", "for_people", "for_programs", "print_fields", "print_notes", "print_on_terminal",
    "print_result", "print_sentences", "print_settings", "print_table", "printable",
]  # fmt: skip
MAX_SHOWN_BYTES = 65_536
UTC_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00")


def describe_bytes(value: bytes | None) -> str | None:
    """UTF-8 text where it is that, else hexadecimal."""
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return f"hex:{value[:MAX_SHOWN_BYTES].hex()}"


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    as_json: bool,
    ids: Collection[str] = (),
) -> None:
    """A table on a terminal, tab-separated lines with a heading in a pipe, or JSON lines.

    Where the terminal is too narrow for the columns, those named by `ids` are shortened, which a note on stderr says.
    Where that is not enough, each row is a block of lines, one for each column, with nothing shortened.
    """
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True))))
    elif sys.stdout.isatty():
        print_cells(columns, [[printable(for_people(value)) for value in row] for row in rows], ids)
    else:
        for line in (columns, *rows):
            print("\t".join(printable(for_programs(value)) for value in line))


def print_cells(columns: Sequence[str], rows: Sequence[Sequence[str]], ids: Collection[str]) -> None:
    from rich.text import Text

    from meter.short_ids import HINT
    from meter.terminal_table import lay_out_table, shorten_to_fit

    cells = [[Text(cell) for cell in row] for row in rows]
    shortened = shorten_to_fit(columns, cells, ids, width=shutil.get_terminal_size().columns)
    print_on_terminal(lambda width: [lay_out_table(columns, shortened or cells, width=width)])
    if shortened is not None:
        print_notes([HINT])


def for_people(value: object) -> object:
    """yes and no; times as `say_time` writes them."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    found = UTC_TIME.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1]} {found[2]} UTC" if found else value


def for_programs(value: object) -> object:
    """As JSON writes it."""
    return json.dumps(value) if isinstance(value, bool) else value


def print_on_terminal(render: Callable[[int], Sequence[RenderableType]]) -> None:
    """Print what `render` makes for the width of the terminal. Too long a line is not cut: the terminal breaks it."""
    from rich.console import Console, Group

    size = shutil.get_terminal_size()  # Rich takes a dumb terminal for 80 columns wide, whatever it says
    console = Console(width=size.columns, height=size.lines)
    console.print(Group(*render(console.width)), crop=False)


def print_sentences(sentences: Sequence[str]) -> None:
    """One a line, broken between words on a terminal."""
    print(fit("\n".join(map(printable, sentences)), sys.stdout), flush=True)


def print_result(fields: Mapping[str, object], sentence: str, *, as_json: bool) -> None:
    """What was done: a sentence, or the same as one JSON object."""
    if as_json:
        print(json.dumps(fields), flush=True)
    else:
        print_sentences([sentence])


def print_notes(sentences: Sequence[str]) -> None:
    """For people alone, beside what a program may read: on stderr."""
    print(fit("\n".join(map(printable, sentences)), sys.stderr), file=sys.stderr, flush=True)


def print_fields(fields: Mapping[str, object], *, as_json: bool) -> None:
    """One field a line, a list a line for each entry: in columns and without what is empty on a terminal, broken
    between words; with a tab in a pipe."""
    if as_json:
        print(json.dumps(fields))
        return
    lines = [
        (name, entry) for name, value in fields.items() for entry in (value if isinstance(value, list) else [value])
    ]
    if not sys.stdout.isatty():
        for name, entry in lines:
            print(f"{name}\t{printable(for_programs(entry))}")
        return
    width = max(map(len, fields))
    for name, entry in lines:
        if entry not in (None, ""):
            print(fit_beside(f"{name:<{width}}  ", printable(for_people(entry)), sys.stdout))


def print_settings(kind: type[Settings], *, as_json: bool) -> None:
    """Every setting as an environment variable, with its default and meaning."""
    rows = [
        (variable(name), describe_default(field.get_default()), field.description or "")
        for name, field in kind.model_fields.items()
    ]
    print_table(("variable", "default", "meaning"), rows, as_json=as_json)


def describe_default(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(for_programs(value))
