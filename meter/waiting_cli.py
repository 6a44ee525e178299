"""`meter waiting`: reversals that were read before the usage they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_table
from meter.runtime.process.cli import FullIds, run_command

if TYPE_CHECKING:
    from meter.runtime.settings import Settings

IDS = ("account", "event_id", "reverses")
COLUMNS = ("account", "event_id", "reverses", "shard", "offset", "usage_left", "since", "state")


def waiting(
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were sent again.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Largest number of lines.")] = 50,
    full_ids: FullIds = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List reversals that wait for usage, and what for.

    The newest stands first.
    Each is sent again once the usage is stored that was there when it was read: that of its own shard, and that of the
    others, where a client may have written it. usage_left is how many records of it are still to be read. Then the
    reversal is stored, or rejected as reverses_unknown.

    \b
    Examples:
      meter waiting
      meter waiting --account acc-1 --all
    """
    from meter.runtime.postgres import opened_pool
    from meter.runtime.settings import Settings
    from meter.store.held import list_waiting

    async def command(settings: Settings) -> None:
        async with opened_pool(settings, "credit-waiting") as pool:
            lines = await list_waiting(pool, account, everything=everything, limit=limit)
        rows = [[*line[:6], line.recorded_at.isoformat(timespec="seconds"), line.state] for line in lines]
        print_table(COLUMNS, rows, as_json=as_json, ids=() if full_ids else IDS)

    run_command(Settings, command)
