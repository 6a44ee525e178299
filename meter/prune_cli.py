"""`meter prune`: remove rejections, duplicates and rerouted records that are older than their retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_result
from meter.runtime.process.cli import run_command
from schemas.figures import count_of

if TYPE_CHECKING:
    from meter.runtime.settings import Settings

RETENTION_DAYS = 90


def prune(
    older_than: Annotated[
        int, typer.Option(min=1, max=36_500, help="Days since they were recorded.", show_default=True)
    ] = RETENTION_DAYS,
    by: Annotated[str | None, typer.Option(help="Who prunes, for the record; default: the user's name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Remove old rejections, duplicates and rerouted records. Never an event.

    Their batches keep the digest of what was removed, so `meter verify` still finds the log whole; their numbers by
    month, topic and reason stay in meter.pruned_counts, and who replayed or dismissed what stays as well. Works in
    portions of 50,000 rows while the services run; stopped at any time, it goes on at the next call. Run it every
    day, as credit_pruner, which may do nothing else.

    \b
    Example:
      export METERING_POSTGRES_DSN=postgresql://credit_pruner@postgres/metering
      meter prune --older-than 90
    """
    from datetime import timedelta
    from getpass import getuser

    from meter.distribute import refuse_distributed
    from meter.progress import show_progress
    from meter.runtime.clock import SystemClock
    from meter.runtime.postgres import opened_pool
    from meter.runtime.settings import Settings
    from meter.store.prune import list_shards_to_prune, prune_shard
    from schemas.times import say_time

    async def command(settings: Settings) -> None:
        before, rows, records = SystemClock().now() - timedelta(days=older_than), 0, 0
        async with opened_pool(settings, "credit-prune") as pool:
            await refuse_distributed(pool, "meter prune", "what is removed is counted by triggers, which Citus has not")
            shards = await list_shards_to_prune(pool)
            with show_progress("prune", len(shards), "shards") as advance:
                for shard in shards:
                    async for pruned in prune_shard(pool, shard, before, by or getuser()):
                        rows, records = rows + pruned.rows, records + pruned.records
                    advance(1)
        moment = before.isoformat(timespec="seconds")
        removed = (
            f"removed {count_of(rows, 'row')} of {count_of(records, 'record')}, recorded before {say_time(before)}"
        )
        print_result({"rows": rows, "records": records, "before": moment}, removed, as_json=as_json)

    run_command(Settings, command)
