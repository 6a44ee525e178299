"""`meter rerouted`: whose records were in another partition than their account's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_table
from meter.runtime.process.cli import FullIds, run_command

if TYPE_CHECKING:
    from meter.runtime.settings import Settings

IDS = ("source",)
COLUMNS = ("source", "topic", "records", "accounts", "first", "last")


def rerouted(
    days: Annotated[
        float | None, typer.Option(min=0, max=36_500, help="Only those of the last days; without it all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Largest number of lines.")] = 50,
    full_ids: FullIds = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List whose records were sent on to the right partition.

    That is the partition of their account. Who has most stands first.
    Nothing of them is lost. Each costs a second trip through Kafka, and its account's events may count in another
    order. meter/README.md has the setting of each client that saves the trip.

    \b
    Example:
      meter rerouted --days 7
    """
    from meter.runtime.clock import SystemClock
    from meter.runtime.postgres import load_sql, opened_pool
    from meter.runtime.settings import Settings

    async def command(settings: Settings) -> None:
        since = None if days is None else SystemClock().now() - timedelta(days=days)
        async with opened_pool(settings, "credit-rerouted") as pool:
            rows = await pool.fetch(load_sql("meter", "list_rerouted"), since, limit)
        lines = [[*row[:4], *(moment.isoformat(timespec="seconds") for moment in row[4:])] for row in rows]
        print_table(COLUMNS, lines, as_json=as_json, ids=() if full_ids else IDS)

    run_command(Settings, command)
