"""Tables for people and for spreadsheets, by one model: the page and the CSV say the same. Pure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from projections.console.figures import show_cell, show_count, show_duration, show_moment

Value = str | int | Decimal | datetime | None
# What a spreadsheet may take for a formula, also behind blanks.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MOST_CHARS: Final = 200
MOST_CSV_CHARS: Final = 32_000  # a spreadsheet's cell holds no more
# Marks that turn the direction of what follows, and other characters that nobody sees.
TURNING: Final = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF, *range(0x20), 0x7F]
)


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    title: str
    form: str = "text"  # text, count, amount, duration, moment, status

    @property
    def numeric(self) -> bool:
        return self.form in ("count", "amount", "duration")


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    values: Sequence[Value]
    share: Decimal = Decimal(0)  # percent of the whole, for the bar
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Row]
    bar: bool = field(default=False)

    def sorted(self, key: str, *, descending: bool) -> "Table":
        """By a column; what has no value comes last either way. An unknown column changes nothing."""
        place = next((n for n, column in enumerate(self.columns) if column.key == key), None)
        if place is None:
            return self
        full = [row for row in self.rows if row.values[place] is not None]
        empty = [row for row in self.rows if row.values[place] is None]
        full.sort(key=lambda row: order_of(row.values[place]), reverse=descending)
        return Table(self.columns, [*full, *empty], self.bar)

    def first(self, most: int) -> "Table":
        """As many rows as a page shows."""
        return self if len(self.rows) <= most else Table(self.columns, self.rows[:most], self.bar)

    def found(self, text: str) -> "Table":
        """The rows whose first column has the text in it, in any case."""
        wanted = text.casefold()
        return Table(self.columns, [row for row in self.rows if wanted in str(row.values[0]).casefold()], self.bar)


def order_of(value: Value) -> tuple[int, Decimal | str]:
    if isinstance(value, datetime):
        return 0, Decimal(value.timestamp())
    if isinstance(value, str):
        return 1, value.casefold()
    return 0, Decimal(value or 0)


def show(value: Value, form: str) -> str:
    """A cell for people. A long name is cut: its whole stands in the CSV."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return show_moment(value)
    if isinstance(value, str):
        return show_name(value)
    if form == "amount":
        return show_cell(Decimal(value))
    if form == "duration":
        return show_duration(value)
    return show_count(int(value))


def show_name(name: str) -> str:
    """One line without characters that turn the text around or cannot be seen."""
    clean = " ".join(name.translate(TURNING).split()) or "(no name)"
    return clean if len(clean) <= MOST_CHARS else clean[: MOST_CHARS - 1] + "…"


def to_csv(table: Table) -> bytes:
    """UTF-8 with a mark, so that spreadsheets read it right; exact amounts; no cell is a formula.

    Every text is in quotes: a spreadsheet that separates at semicolons would make two cells of it otherwise.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([column.title for column in table.columns])
    for row in table.rows:
        writer.writerow([plain(value) for value in row.values])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def plain(value: Value) -> str | int | Decimal:
    """Numbers and times as they are; text that a spreadsheet would run as a formula begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if not isinstance(value, str):
        return value
    text = value.replace("\x00", "")[:MOST_CSV_CHARS]
    return f"'{text}" if text.lstrip(" \u00a0").startswith(FORMULA) else text
