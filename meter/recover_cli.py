"""`meter recover` on the command line."""

import getpass
from typing import Annotated

import typer

from meter.presentation import print_notes, print_table
from meter.runtime.process.cli import run_command


def recover_command(
    reason: Annotated[str, typer.Option(help="Why; recorded in the log.")] = "restored to an earlier moment",
    force: Annotated[
        bool, typer.Option("--force", help="Also where nothing outside proves that it went back.")
    ] = False,
    roles: Annotated[bool, typer.Option(help="Act as credit_owner, as setup does.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines for programs.")] = False,
) -> None:
    """Go on with a database that was restored, or lost commits.

    It is at an earlier moment, or lost its last commits in a fail-over.
    Stop meter, projections and notifier first. It begins a new generation of the log and records the cut in the chain.
    When the services run again, the meter reads what was lost from Kafka once more, projections send the present state
    of every account, and the notifier reads back whom it had told what before it sends anything.

    Needs the rights of `meter setup`. Where nothing outside the database is newer than it, nothing is changed.

    \b
    Example:
      meter recover --reason "backup of 09:00 restored"
    """

    from meter.recover import Begun, recover
    from meter.roles import OWNER
    from meter.runtime.clock import SystemClock
    from meter.runtime.postgres import opened_pool
    from meter.runtime.settings import Settings

    def say(line: str) -> None:
        print_notes([line])

    async def command(settings: Settings) -> list[Begun]:
        async with opened_pool(settings, "credit-meter-recover", OWNER if roles else None) as pool:
            return await recover(
                settings, pool, SystemClock(), by=getpass.getuser(), reason=reason, force=force, say=say
            )

    begun = run_command(Settings, command)
    if begun:
        print_table(Begun._fields, begun, as_json=as_json)
    else:
        say("nothing outside the database is newer than it: nothing was changed")
