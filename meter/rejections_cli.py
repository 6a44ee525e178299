"""`meter rejections`: look at what was refused, send it again, or say that it is dealt with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_fields, print_result, print_table
from meter.rejections_listing import (
    MAX_NUMBER,
    JsonOutput,
    Numbers,
    describe_dismissal,
    describe_looked,
    find_lines,
    follow_last_replays,
    follow_replays,
    open_rejections,
)
from meter.replay_cli import replay
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import FullIds, Group, run_command
from meter.runtime.process.terminal import fit
from schemas.reasons import Reason

if TYPE_CHECKING:
    from meter.replay_outcomes import Followed
    from meter.runtime.settings import Settings
    from meter.store.rejections import Dismissal, RejectionLine

app = typer.Typer(
    cls=Group,
    help="Records that broke the contract: list, show, replay, dismiss.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
IDS = ("account",)
COLUMNS = ("id", "topic", "shard", "offset", "account", "reason", "detail", "recorded_at", "replays", "records")
SINCE = ("replayed_at", "outcome")  # of the last replay
MAX_REASON_CHARS = 500


@app.command(name="list")
def list_command(
    reason: Annotated[
        Reason | None, typer.Option(metavar="REASON", help="Only those with this reason, like wrong_partition.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Only those of this topic, e.g. metering.usage.")] = None,
    account: Annotated[
        str | None, typer.Option(help="Only those of this account: by key, or without one by the event.")
    ] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Only those never replayed.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Those that were dismissed too, and why.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Largest number of rejections to list.")] = 50,
    full_ids: FullIds = False,
    as_json: JsonOutput = False,
) -> None:
    """List rejections, newest first, without the dismissed ones.

    Of one that was replayed it says what came of that by now: `outcome`, or `last_replay` in JSON.
    A table on a terminal, tab-separated lines in a pipe.

    \b
    Examples:
      meter rejections list --reason wrong_partition --pending
      meter rejections list --account acc-1
      meter rejections list --json --limit 1000 | jq .detail
    """
    from meter.runtime.settings import Settings

    async def command(settings: Settings) -> None:
        async with open_rejections(settings) as rejections:
            lines, looked_to = await find_lines(
                rejections, account, reason=reason.value if reason else None, topic=topic, limit=limit,
                pending=pending, dismissed=all_,
            )  # fmt: skip
            followed = await follow_last_replays(rejections, lines)
        print_lines(lines, followed, dismissed=all_, as_json=as_json, ids=() if full_ids else IDS)
        if looked_to is not None:
            print(fit(describe_looked(looked_to), sys.stderr), file=sys.stderr)

    run_command(Settings, command)


def print_lines(
    lines: Sequence[RejectionLine],
    followed: Mapping[int, Followed],
    *,
    dismissed: bool,
    as_json: bool,
    ids: Sequence[str],
) -> None:
    """`dismissed`: with why each was. On a terminal the columns of replays are left out where there is none."""
    from meter.replay_outcomes import describe_since, followed_fields

    columns = (*COLUMNS, *(("dismissed",) if dismissed else ()))
    rows = [line_cells(line)[: len(columns)] for line in lines]
    if as_json:
        for line, row in zip(lines, rows, strict=True):
            last = followed.get(line.rejection_id)
            print(json.dumps(dict(zip(columns, row, strict=True)) | {"last_replay": last and followed_fields(last)}))
        return
    if followed or not sys.stdout.isatty():
        columns += SINCE
        for line, row in zip(lines, rows, strict=True):
            last = followed.get(line.rejection_id)
            row += [last.replay.replayed_at.isoformat(timespec="seconds"), describe_since(last)] if last else ["", ""]
    print_table(columns, rows, as_json=False, ids=ids)


def line_cells(line: RejectionLine) -> list[object]:
    return [*line[:4], line.account_id, *line[4:6], line.recorded_at.isoformat(timespec="seconds"), *line[7:10]]


@app.command()
def show(
    rejection_id: Annotated[int, typer.Argument(min=1, max=MAX_NUMBER, help="Number of the rejection, from the list.")],
    as_json: JsonOutput = False,
    raw: Annotated[bool, typer.Option("--raw", help="Write the record's value to stdout, byte for byte.")] = False,
) -> None:
    """Show a rejection with its record, what to do, and its replays.

    Where it stands for several records that were packed together, the first of them is shown, and --raw writes the
    values of all, one a line.

    \b
    Examples:
      meter rejections show 17
      meter rejections show 17 --raw > record.json
    """
    from meter.rejection_fields import describe, fields_for_programs
    from meter.replay import take_out
    from meter.runtime.settings import Settings

    async def command(settings: Settings) -> None:
        async with open_rejections(settings) as rejections:
            found = await rejections.fetch_rejections([rejection_id])
            if not found:
                raise RefusalError(f"there is no rejection {rejection_id}: see `meter rejections list --all`")
            replays = await follow_replays(rejections, found[0].topic, await rejections.list_replays([rejection_id]))
            dismissals = await rejections.fetch_dismissals([rejection_id])
        records = take_out(found[0])
        if raw:
            sys.stdout.buffer.write(b"\n".join([record.value or b"" for record in records]))
            return
        fields = fields_for_programs if as_json else describe
        print_fields(fields(found[0], records, replays, dismissals), as_json=as_json)

    run_command(Settings, command)


def describe_rest(ids: Sequence[int], before: Sequence[Dismissal]) -> str:
    """What to do where some were dismissed before."""
    rest = sorted(set(ids) - {each.rejection_id for each in before})
    repeat = f" Repeat it for {', '.join(map(str, rest))} alone." if rest else ""
    return f"Nothing is dismissed.{repeat} `meter rejections list` shows what is left."


@app.command()
def dismiss(
    rejection_ids: Numbers,
    reason: Annotated[str, typer.Option(help="Why nothing more is to be done, for whoever looks later.")],
    by: Annotated[str | None, typer.Option(help="Who dismisses, for the record; default: the user's name.")] = None,
    as_json: JsonOutput = False,
) -> None:
    """Say that rejections are dealt with: they leave the list.

    They stay in the log with your reason.
    It cannot be taken back; `list --all` and `show` still have them, and a replay is still possible.

    \b
    Example:
      meter rejections dismiss 17 18 --reason "sent again by billing, ticket 4711"
    """
    from meter.replay import fetch_all
    from meter.runtime.clock import SystemClock
    from meter.runtime.settings import Settings
    from meter.store.rejections import DismissedError

    why = reason.strip()
    if not why or len(why) > MAX_REASON_CHARS or not why.isprintable():
        raise typer.BadParameter(f"say why, in 1 to {MAX_REASON_CHARS} characters on one line", param_hint="--reason")

    async def command(settings: Settings) -> None:
        async with open_rejections(settings) as rejections:
            found = await fetch_all(rejections, rejection_ids, "Nothing is dismissed")
            try:
                await rejections.append_dismissals(rejection_ids, why, by or getuser(), SystemClock())
            except DismissedError as error:
                lines = [f"{d.rejection_id} is dismissed already: {describe_dismissal(d)}" for d in error.before]
                raise RefusalError("\n".join([*lines, describe_rest(rejection_ids, error.before)])) from None
        for each in found:
            fields = {"id": each.rejection_id, "reason": each.reason, "dismissed": why}
            print_result(fields, f"dismissed {each.rejection_id} ({each.reason}): {why}", as_json=as_json)

    run_command(Settings, command)


app.command()(replay)
