"""`meter rejections`: look at what was refused, send it again, or say that it is dealt with."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meter.presentation import describe_bytes, print_fields, print_result, print_sentences, print_table
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import FullIds, Group, run_command
from meter.runtime.process.exits import Exit
from meter.runtime.process.terminal import fit
from schemas.reasons import Reason
from schemas.times import say_time

if TYPE_CHECKING:
    from datetime import datetime

    from meter.replay import Replayed
    from meter.runtime.settings import Settings
    from meter.settings import MeterSettings
    from meter.store.rejections import Dismissal, Rejection, RejectionLine, Rejections

app = typer.Typer(
    cls=Group,
    help="Records that broke the contract: list, show, replay, dismiss.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
IDS = ("account",)
TAKEN_OUT_ADVICE = "Nothing can be done with it any more: its account was forgotten."
COLUMNS = ("id", "topic", "shard", "offset", "account", "reason", "detail", "recorded_at", "replays", "records")
MAX_REASON_CHARS = 500
MAX_NUMBER = 2**63 - 1  # of Postgres
Numbers = Annotated[list[int], typer.Argument(min=1, max=MAX_NUMBER, help="Numbers of the rejections, from the list.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


@asynccontextmanager
async def open_rejections(settings: Settings) -> AsyncIterator[Rejections]:
    from meter.runtime.postgres import opened_pool
    from meter.store.rejections import Rejections

    async with opened_pool(settings, "credit-rejections") as pool:
        yield Rejections(pool)


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
        rows = [
            [*line[:4], line.account_id, *line[4:6], line.recorded_at.isoformat(timespec="seconds"), *line[7:10]]
            for line in lines
        ]
        columns = (*COLUMNS, "dismissed")
        shown = len(columns) if all_ else len(COLUMNS)
        ids = () if full_ids else IDS
        print_table(columns[:shown], [row[:shown] for row in rows], as_json=as_json, ids=ids)
        if looked_to is not None:
            print(fit(describe_looked(looked_to), sys.stderr), file=sys.stderr)

    run_command(Settings, command)


async def find_lines(
    rejections: Rejections, account: str | None, *, limit: int, **filters: Any
) -> tuple[list[RejectionLine], datetime | None]:
    """What is listed, and how far back records without a key were looked at where that was not all the way."""
    lines = await rejections.list_rejections(account=account, limit=limit, **filters)
    if account is None:
        return lines, None
    more, looked_to = await rejections.list_without_key(account, limit=limit, **filters)
    return sorted([*lines, *more], key=lambda line: line.rejection_id, reverse=True)[:limit], looked_to


def describe_looked(looked_to: datetime) -> str:
    from meter.store.rejections import MOST_LOOKED_AT

    return (
        f"Of records without a key the newest {MOST_LOOKED_AT:,} were looked at, back to "
        f"{say_time(looked_to)}: older ones of the account are not listed. --reason and --topic "
        "look further back."
    )


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
    from meter.replay import is_taken_out, take_out
    from meter.runtime.settings import Settings

    async def command(settings: Settings) -> None:
        async with open_rejections(settings) as rejections:
            found = await rejections.fetch_rejections([rejection_id])
            if not found:
                raise RefusalError(f"there is no rejection {rejection_id}: see `meter rejections list --all`")
            replays = await rejections.list_replays(rejection_id)
            dismissals = await rejections.fetch_dismissals([rejection_id])
        records = take_out(found[0])
        if raw:
            sys.stdout.buffer.write(b"\n".join([record.value or b"" for record in records]))
            return
        fields = describe(found[0], records)
        if is_taken_out(found[0]):
            fields["advice"] = TAKEN_OUT_ADVICE
        fields["replays"] = [f"{say_time(replay.replayed_at)} by {replay.replayed_by}" for replay in replays]
        fields["dismissed"] = [describe_dismissal(dismissal) for dismissal in dismissals]
        print_fields(fields, as_json=as_json)

    run_command(Settings, command)


def describe(rejection: Rejection, records: Sequence[Rejection]) -> dict[str, object]:
    first = records[0]
    return {
        "id": rejection.rejection_id,
        "topic": rejection.topic,
        "shard": rejection.shard,
        "offset": rejection.offset,
        "last_offset": rejection.offset if rejection.to_offset is None else rejection.to_offset - 1,
        "packed_records": len(records) if rejection.packed else None,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "advice": advice_for(rejection.reason),
        "recorded_at": rejection.recorded_at.isoformat(),
        "kafka_timestamp": rejection.kafka_timestamp.isoformat() if rejection.kafka_timestamp else None,
        "key": describe_bytes(first.key),
        "headers": [f"{name}: {describe_bytes(value)}" for name, value in first.headers],
        "value": describe_bytes(first.value),
        "original_bytes": rejection.original_bytes,
        "original_sha256": rejection.original_sha256.hex() if rejection.original_sha256 else None,
    }


def describe_rest(ids: Sequence[int], before: Sequence[Dismissal]) -> str:
    """What to do where some were dismissed before."""
    rest = sorted(set(ids) - {each.rejection_id for each in before})
    repeat = f" Repeat it for {', '.join(map(str, rest))} alone." if rest else ""
    return f"Nothing is dismissed.{repeat} `meter rejections list` shows what is left."


def describe_dismissal(dismissal: Dismissal) -> str:
    return f"{say_time(dismissal.dismissed_at)} by {dismissal.dismissed_by}: {dismissal.reason}"


def advice_for(reason: str) -> str | None:
    """None for a reason of a newer version than this one."""
    return Reason(reason).advice if reason in set(Reason) else None


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

    why = reason.strip()
    if not why or len(why) > MAX_REASON_CHARS or not why.isprintable():
        raise typer.BadParameter(f"say why, in 1 to {MAX_REASON_CHARS} characters on one line", param_hint="--reason")

    async def command(settings: Settings) -> None:
        async with open_rejections(settings) as rejections:
            found = await fetch_all(rejections, rejection_ids, "Nothing is dismissed")
            if before := await rejections.fetch_dismissals(rejection_ids):
                lines = [f"{d.rejection_id} is dismissed already: {describe_dismissal(d)}" for d in before]
                raise RefusalError("\n".join([*lines, describe_rest(rejection_ids, before)]))
            await rejections.append_dismissals(rejection_ids, why, by or getuser(), SystemClock())
        for each in found:
            fields = {"id": each.rejection_id, "reason": each.reason, "dismissed": why}
            print_result(fields, f"dismissed {each.rejection_id} ({each.reason}): {why}", as_json=as_json)

    run_command(Settings, command)


@app.command()
def replay(
    rejection_ids: Numbers,
    by: Annotated[str | None, typer.Option(help="Who replays, for the record; default: the user's name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Send what would be rejected again, too.")] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait and say what became of each; without, say only that Kafka has it.")
    ] = True,
    as_json: JsonOutput = False,
) -> None:
    """Send the original bytes again, and say what became of them.

    They are a new record, which the meter judges again.
    This helps when the cause is gone: a wrong partition (the key decides now), a time that was ahead, a type that
    this version knows, usage that a reversal names and that is stored by now. What would be rejected again, for the
    contract or for what is stored, is refused with the reason, and nothing is sent. It is judged by the settings of
    this command: give it those that `meter run` has. An event that was stored in the meantime counts once. Exits with
    1 where one is rejected again, or not judged within 30 s.

    \b
    Examples:
      meter rejections replay 17 18
      meter rejections list --reason wrong_partition --pending |
        tail -n +2 | cut -f 1 | xargs meter rejections replay
    """
    from meter.replay import replay_rejections
    from meter.runtime.clock import SystemClock
    from meter.runtime.kafka import Producer
    from meter.settings import MeterSettings

    async def command(settings: MeterSettings) -> None:
        refused = False
        async with open_rejections(settings) as rejections, Producer(settings, client_id="credit-replay") as producer:
            async for replayed in replay_rejections(
                rejections, producer, rejection_ids, by or getuser(), SystemClock(), settings.limits(), force=force
            ):
                refused |= await tell_replayed(rejections, replayed, wait=wait, as_json=as_json)
        if refused:
            raise typer.Exit(Exit.FAILED)

    run_command(MeterSettings, command)


async def tell_replayed(rejections: Rejections, replayed: Replayed, *, wait: bool, as_json: bool) -> bool:
    """Print what became of it; whether it, or one of its records, was rejected again."""
    from meter.replay import describe_outcomes
    from meter.runtime.process.interruption import INTERRUPTED, ending_with
    from meter.sending import EFFECT_TIMEOUT_S, ask_until

    (rejection, landed), number, outcomes = replayed, replayed.rejection.rejection_id, None
    if wait and all(each.offset >= 0 for each in landed):
        with ending_with(f"{INTERRUPTED}. Replayed {number}: on {rejection.topic}, and not judged yet."):
            outcomes = await ask_until(lambda: rejections.find_outcomes(rejection.topic, landed), EFFECT_TIMEOUT_S)
    if as_json:
        counts = None if outcomes is None else Counter(outcome.outcome for outcome in outcomes)
        again = [each.rejection_id for each in outcomes or () if each.rejection_id is not None]
        shown = {"replayed": number, "topic": rejection.topic, "outcomes": counts, "rejections": again}
        print(json.dumps(shown), flush=True)
    elif outcomes is not None:
        print_sentences([describe_outcomes(number, outcomes)])
    elif wait:
        print_sentences([f"replayed {number}: on {rejection.topic}, and not judged yet: is `meter run` running?"])
    else:
        print_sentences([f"replayed {number}: on {rejection.topic}"])
    return wait and (outcomes is None or any(outcome.outcome == "rejected" for outcome in outcomes))
