"""`meter seal` on the command line."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from meter.changes_cli import Yes
from meter.confirm import confirm
from meter.presentation import print_notes, print_sentences, print_table
from meter.runtime.process.cli import run_command

if TYPE_CHECKING:
    from meter.seal import Done
    from meter.settings import SetupSettings

FACT = "the log is chained anew, and metering.balances is made again where it holds addresses"


def seal_command(
    reason: Annotated[str, typer.Option(help="Why; recorded in the log. Name nobody in it.")] = "old data sealed",
    yes: Yes = False,
    roles: Annotated[bool, typer.Option(help="Act as credit_owner, as setup does.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines for programs.")] = False,
) -> None:
    """Seal addresses and names that versions before stored in clear.

    Renews metering.balances as well, which kept them.
    Stop meter, projections and notifier first, once all is read and published. Each shard is checked, sealed and
    chained anew in one transaction, under a new generation that records the old head; anchors of before are compared
    with what the hashes were. metering.balances is deleted and made again; when the services run, projections send it
    the present state of every account. Stopped anywhere, the next call goes on.

    Needs the rights of `meter setup`. Asks first; in a pipe it refuses without --yes.

    \b
    Example:
      meter seal --reason "addresses of before 2.0"
      meter verify
    """
    from meter.distribute import refuse_distributed
    from meter.progress import show_progress
    from meter.roles import OWNER
    from meter.runtime.clock import SystemClock
    from meter.runtime.postgres import opened_pool
    from meter.seal import seal_all
    from meter.settings import SetupSettings
    from meter.verify import choose_shards

    def say(line: str) -> None:
        print_notes([line])

    async def command(settings: SetupSettings) -> Done:
        if not yes:
            confirm(FACT, "Seal?", nothing="nothing is changed")
        async with opened_pool(settings, "credit-meter-seal", OWNER if roles else None) as pool:
            await refuse_distributed(pool, "meter seal", "it lets triggers hold all else still, which Citus has not")
            events = sum(size.events for size in await choose_shards(pool, None))
            with show_progress("check and chain", 2 * events) as advance:
                return await seal_all(
                    settings, pool, SystemClock(), by=getpass.getuser(), reason=reason, progress=advance, say=say
                )

    show_done(run_command(SetupSettings, command), as_json=as_json)


def show_done(done: Done, *, as_json: bool) -> None:
    sealed = [shard for shard in done.shards if shard.events_sealed]
    print_table(("shard", "events_sealed", "batches_chained", "generation"), sealed or done.shards, as_json=as_json)
    if not as_json:
        print_sentences(describe(done))


def describe(done: Done) -> list[str]:
    events = sum(shard.events_sealed for shard in done.shards)
    lines = [
        f"{events:,} events were sealed" if events else "nothing in the log was in clear: nothing was changed in it"
    ]
    if done.renewed:
        lines.append(
            "metering.balances was made again; when the services run, it gets the present state of every account"
        )
    if events:
        lines.append(
            "old copies of the rows stay in the server's files until VACUUM, and in WAL and backups until these are "
            "deleted: run `VACUUM meter.events`, check with `meter verify`, take a new backup, delete the old ones"
        )
    return lines
