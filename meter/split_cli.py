"""`meter split` on the command line."""

import getpass
from typing import Annotated

import typer

from meter.presentation import print_notes, print_table
from meter.runtime.process.cli import run_command


def split_command(
    reason: Annotated[str, typer.Option(help="Why; recorded in the log.")] = "more processes are to share the work",
    roles: Annotated[bool, typer.Option(help="Act as credit_owner, as setup does.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines for programs.")] = False,
) -> None:
    """Have more shards for good.

    As many as METERING_PARTITIONS says, a multiple of those there are.
    Stop the meter; when all is folded and told stop projections and notifier, and grow the topics. Accounts that belong
    in a new shard move there with all their history; balances, ids and what people were told stay. Where something must
    be done before, it says what, and nothing is changed. Then start the services with the new METERING_PARTITIONS.

    Take a backup first: there is no way back to fewer. Needs the rights of `meter setup`.

    \b
    Example:
      METERING_PARTITIONS=24 meter split --reason "more accounts"
    """

    from meter.recover import Begun
    from meter.roles import OWNER
    from meter.runtime.clock import SystemClock
    from meter.runtime.postgres import opened_pool
    from meter.runtime.settings import Settings
    from meter.split import split

    def say(line: str) -> None:
        print_notes([line])

    async def command(settings: Settings) -> list[Begun]:
        async with opened_pool(settings, "credit-meter-split", OWNER if roles else None) as pool:
            return await split(settings, pool, SystemClock(), by=getpass.getuser(), reason=reason, say=say)

    begun = run_command(Settings, command)
    if begun:
        print_table(Begun._fields, begun, as_json=as_json)
    else:
        say("there are as many shards as METERING_PARTITIONS says: nothing was changed")
