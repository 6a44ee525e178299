"""What the commands of the notifier share: the connection that they read by, and how rows become lines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from meter.presentation import print_table

if TYPE_CHECKING:
    from notifier.settings import NotifierSettings
    from notifier.store.report import Report, Row

JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Account = Annotated[str, typer.Argument(help="Account id: 1 to 128 of A-Z a-z 0-9 . _ : @ -")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Show only this number, the newest.")]


@asynccontextmanager
async def open_report(settings: NotifierSettings) -> AsyncIterator[Report]:
    from meter.runtime.postgres import opened_pool
    from notifier.store.report import Report

    async with opened_pool(settings, "credit-notices") as pool:
        yield Report(pool)


def print_rows(columns: Sequence[str], rows: Sequence[Row], *, as_json: bool) -> None:
    print_table(columns, [[plain(row[column]) for column in columns] for row in rows], as_json=as_json)


def plain(value: object) -> object:
    """A value that JSON can hold: amounts and times become text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value) if isinstance(value, UUID) else value


def describe_letter(row: Row) -> Mapping[str, Any]:
    """A letter's row with its lines as words: model_credits 80 % (epoch 2)."""
    lines = [f"{line['resource']} {line['line']} % (epoch {line['epoch']})" for line in json.loads(row["lines"])]
    return {**row, "lines": ", ".join(lines) or None}
