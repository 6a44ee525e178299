"""`meter waiting`: reversals that were read before the usage they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_table
from meter.runtime.process.cli import run_command

if TYPE_CHECKING:
    from meter.runtime.settings import Settings

COLUMNS = ("account", "event_id", "reverses", "shard", "offset", "usage_left", "since", "state")


def waiting(
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were sent again.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Largest number of lines.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List reversals that wait for the usage they name, newest first.

    Each is sent again once the usage of its shard is stored that was there when it was read: usage_left is how many
    records that are still. Then it is stored, or rejected as reverses_unknown.

    \b
    Examples:
      meter waiting
      meter waiting --account acc-1 --all
    """
    from meter.runtime.postgres import load_sql, opened_pool
    from meter.runtime.settings import Settings

    async def command(settings: Settings) -> None:
        async with opened_pool(settings, "credit-waiting") as pool:
            rows = await pool.fetch(load_sql("meter", "list_waiting"), account, everything, limit)
        lines = [[*row[:6], row["recorded_at"].isoformat(timespec="seconds"), row["state"]] for row in rows]
        print_table(COLUMNS, lines, as_json=as_json)

    run_command(Settings, command)
