"""What the commands of the notifier share: the connection that they read by, and how rows become lines."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from meter.presentation import print_notes, print_table
from meter.runtime.process.cli import whole

if TYPE_CHECKING:
    from notifier.settings import NotifierSettings
    from notifier.store.report import Report, Row

JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Account = Annotated[str, typer.Argument(callback=whole, help="Account id: 1 to 128 of A-Z a-z 0-9 . _ : @ -")]
MOST = 100_000
LINE_LISTS = ("lines", "told", "reached_now")  # columns of a letter, each a JSON list of objects
ON_TERMINAL = 10  # as blocks they fill two screens
Limit = Annotated[
    int | None,
    typer.Option(min=1, max=MOST, help="Show only this number, the newest; default: 10 on a terminal, 100 elsewhere."),
]
All = Annotated[bool, typer.Option("--all", help="Show all of them.")]


@asynccontextmanager
async def open_report(settings: NotifierSettings) -> AsyncIterator[Report]:
    from meter.runtime.postgres import opened_pool
    from notifier.store.report import Report

    async with opened_pool(settings, "credit-notices") as pool:
        yield Report(pool)


def print_rows(columns: Sequence[str], rows: Sequence[Row], *, as_json: bool, ids: Collection[str] = ()) -> None:
    print_table(columns, [[plain(row[column]) for column in columns] for row in rows], as_json=as_json, ids=ids)


def choose_limit(limit: int | None, *, everything: bool, as_json: bool) -> int:
    """How many to show, the newest: what somebody asks for, what fits a terminal, or more for programs."""
    if everything:
        return MOST
    return limit or (ON_TERMINAL if sys.stdout.isatty() and not as_json else 100)


def print_newest(
    columns: Sequence[str], rows: Sequence[Row], shown: int, *, as_json: bool, ids: Collection[str] = ()
) -> None:
    """The first `shown` rows; of one more it says that there are others."""
    print_rows(columns, rows[:shown], as_json=as_json, ids=ids)
    if len(rows) > shown:
        print_notes([f"Only the newest {shown} are shown. Older ones: --all, or --limit with a larger number."])


def plain(value: object) -> object:
    """A value that JSON can hold: amounts and times become text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value) if isinstance(value, UUID) else value


def describe_letter(row: Row, *, as_json: bool) -> Mapping[str, Any]:
    """A letter's row; its lists of lines are objects for programs, words for people: model_credits 80 % (epoch 2)."""
    lists = {name: read_lines(row[name]) for name in LINE_LISTS if name in row.keys()}  # noqa: SIM118  of a record
    return {**row, **(lists if as_json else {name: describe_lines(lines) for name, lines in lists.items()})}


def read_lines(text: str) -> list[dict[str, Any]]:
    """Of each line what people ask for: the resource, the percent, and the epoch where it has one."""
    return [{name: line[name] for name in ("resource", "line", "epoch") if name in line} for line in json.loads(text)]


def describe_lines(lines: Sequence[Mapping[str, Any]]) -> str | None:
    """`model_credits 80 % (epoch 2), tool_runs 50 %`; None where there is none."""
    words = [f"{line['resource']} {line['line']} %{describe_epoch(line.get('epoch'))}" for line in lines]
    return ", ".join(words) or None


def describe_epoch(epoch: int | None) -> str:
    return "" if epoch is None else f" (epoch {epoch})"
