"""`meter usage`: an account's events of usage with their ids, so that one can be reversed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_table
from meter.runtime.process.cli import FullIds, run_command
from meter.runtime.process.terminal import fit
from meter.support_cli import Account
from schemas.resources import Resource
from schemas.times import say_time

if TYPE_CHECKING:
    from meter.runtime.settings import Settings
    from meter.store.usage import Looked, UsageLine

IDS = ("event_id", "source")
COLUMNS = ("time", "event_id", "source", "resource", "kind", "name", "amount", "reversed")


def usage(
    account_id: Account,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only usage of this time or later, like 2026-11-24T14:30; UTC."),
    ] = None,
    resource: Annotated[Resource | None, typer.Option(help="Only usage of this resource.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Largest number of events to list.")] = 50,
    look_at: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="How many of the newest events of its shard to look through.")
    ] = 1_000_000,
    full_ids: FullIds = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List the newest usage of an account, with the ids of events.

    They are what `meter reverse` takes. It shows as well what of the usage is reversed.
    The log is in the order of its shard, not by account. So the newest events of the shard are looked through until
    there are enough, or nothing older than --since can follow; stderr says how far that went.

    \b
    Examples:
      meter usage acc-1
      meter usage acc-1 --since 2026-11-24 --resource tool_runs --json
    """
    from meter.runtime.postgres import opened_pool
    from meter.runtime.settings import Settings
    from meter.store.usage import find_account_usage

    begin = None if since is None else read_time(since)

    async def command(settings: Settings) -> None:
        async with opened_pool(settings, "credit-usage") as pool:
            lines, looked = await find_account_usage(
                pool, account_id, resource=None if resource is None else resource.value, since=begin, limit=limit,
                most=look_at,
            )  # fmt: skip
        print_table(COLUMNS, [cells(line) for line in lines], as_json=as_json, ids=() if full_ids else IDS)
        print(fit(describe_looked(looked, full=len(lines) == limit), sys.stderr), file=sys.stderr)

    run_command(Settings, command)


def read_time(text: str) -> datetime:
    """A day or a time, UTC unless it says otherwise."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a day or a time, like 2026-11-24", param_hint="--since") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def cells(line: UsageLine) -> list[object]:
    amounts = [f"{amount.normalize():f}" for amount in (line.amount, line.reversed)]
    return [line.occurred_at.isoformat(timespec="seconds"), *line[1:6], *amounts]


def describe_looked(looked: Looked, *, full: bool) -> str:
    """What was looked through, and how to see more."""
    if looked.oldest is None:
        return f"shard {looked.shard} has no event"
    since = say_time(looked.oldest)
    text = f"looked at the newest {looked.events:,} events of shard {looked.shard}, stored since {since}"
    if looked.is_all:
        return f"{text}: that is all"
    return f"{text}; for more: {'--limit' if full else '--look-at'}"
