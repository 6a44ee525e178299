"""A table for a terminal of a given width: columns where they fit, otherwise a block of lines for each row.

Numbers and times are never cut or broken. One column of sentences, the widest, may wrap between words. Where that is
not enough, ids in columns are shortened to what tells them apart; in a block they are whole.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from meter.short_ids import choose_cap, shorten_all

Rows = Sequence[Sequence[Text]]
UNBOUNDED: Final = 100_000  # wider than any table
MIN_SENTENCE_WIDTH: Final = 30  # a column of sentences that is narrower is hard to read
WORD: Final = re.compile(r"\S*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC)?\S*|\S+")
GAP: Final = 2  # between the name and the value in a block


def lay_out_table(columns: Sequence[str], rows: Rows, *, width: int, title: str = "") -> RenderableType:
    """For `width` character cells. Blocks leave out what is empty."""
    return fit_columns(columns, rows, width=width, title=title) or make_blocks(columns, rows, width=width, title=title)


def fit_columns(columns: Sequence[str], rows: Rows, *, width: int, title: str = "") -> Table | None:
    """A table with every cell whole, the sentences of one column wrapped if need be. None where it does not fit."""
    if not rows:
        return None
    excess = measure(make_table(columns, rows)) - width
    if excess <= 0:
        return make_table(columns, rows, title=title)
    sentences = find_sentences(columns, rows)
    if sentences is not None:
        room = column_width(columns, rows, sentences) - excess
        if room >= least_width(columns, rows, sentences):
            return make_table(columns, rows, title=title, sentences=sentences, room=room)
    return None


def shorten_to_fit(columns: Sequence[str], rows: Rows, ids: Collection[str], *, width: int) -> Rows | None:
    """The rows with the ids of the columns `ids` as short as the table needs.

    None where that is of no use: it fits as it is, or not even so, or what is left would not tell them apart.
    """
    numbers = [n for n, name in enumerate(columns) if name in ids]
    if not rows or not numbers or fit_columns(columns, rows, width=width) is not None:
        return None
    excess = measure(make_table(columns, rows)) - width
    sentences = find_sentences(columns, rows)
    if sentences is not None and sentences not in numbers:
        excess -= column_width(columns, rows, sentences) - least_width(columns, rows, sentences)
    widths = [column_width(columns, rows, n) for n in numbers]
    cap = choose_cap(widths, [cell_len(columns[n]) for n in numbers], excess)
    if cap is None:
        return None
    shown = {n: shorten_all([row[n].plain for row in rows], cap) for n in numbers}
    if None in shown.values():
        return None
    return [[Text((shown.get(n) or {}).get(c.plain, c.plain)) for n, c in enumerate(row)] for row in rows]


def find_sentences(columns: Sequence[str], rows: Rows) -> int | None:
    """The widest column in which a cell has more than one word, or None."""
    found = [n for n in range(len(columns)) if any(" " in row[n].plain for row in rows)]
    return max(found, key=lambda n: column_width(columns, rows, n), default=None)


def column_width(columns: Sequence[str], rows: Rows, number: int) -> int:
    lines = [line for row in rows for line in row[number].plain.split("\n")]
    return max(map(cell_len, (columns[number], *lines)))


def least_width(columns: Sequence[str], rows: Rows, number: int) -> int:
    """A column may become this narrow: its longest word fits, behind the indent of its line."""
    lines = [line for row in rows for line in row[number].plain.split("\n")]
    words = [indent_of(line) + word for line in lines for word in WORD.findall(line)]
    longest = max(map(cell_len, (columns[number], *words)))
    return max(longest, min(MIN_SENTENCE_WIDTH, column_width(columns, rows, number)))


def measure(table: Table) -> int:
    """The width of the table with no cell wrapped. Without a height Rich takes a dumb terminal for 80 columns wide."""
    console = Console(width=UNBOUNDED, height=1)
    return Measurement.get(console, console.options, table).maximum


def make_table(
    columns: Sequence[str], rows: Rows, *, title: str = "", sentences: int | None = None, room: int | None = None
) -> Table:
    """The column `sentences` gets `room` character cells and wraps; the others are as wide as their widest cell.

    We wrap it: Rich would break a time between its day and its hour.
    """
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=True, width=room if number == sentences else None)
    for row in rows:
        cells = (Text("\n".join(wrap_words(c.plain, room or 0))) if n == sentences else c for n, c in enumerate(row))
        table.add_row(*cells)
    return table


def make_blocks(columns: Sequence[str], rows: Rows, *, width: int, title: str) -> Group:
    if not rows:
        return Group(*([Text(title, "italic")] if title else []), Text("none"))
    names = max(map(cell_len, columns))
    blocks = [Text(title, "italic")] if title else []
    for row in rows:
        blocks += [Text(), *make_block(columns, row, names=names, width=width)]
    return Group(*(blocks if title else blocks[1:]))


def make_block(columns: Sequence[str], row: Sequence[Text], *, names: int, width: int) -> list[Text]:
    """A line for each value, more where it has to wrap."""
    lines = []
    for name, value in zip(columns, row, strict=True):
        if not value.plain:
            continue
        for number, part in enumerate(wrap_words(value.plain, width - names - GAP)):
            label = name if number == 0 else ""
            lines.append(Text(f"{label:<{names + GAP}}{part}", no_wrap=True, overflow="ignore"))
    return lines


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def wrap_words(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken between words; a word that is longer, and a time, stay whole."""
    lines = []
    for line in text.split("\n"):
        indent = indent_of(line)
        words = WORD.findall(line)
        current = indent + words[0] if words else ""
        for word in words[1:]:
            if cell_len(current) + 1 + cell_len(word) > width:
                lines.append(current)
                current = indent + word
            else:
                current += f" {word}"
        lines.append(current)
    return lines
