"""The `meter` command.

Exit codes: 0 ok, 1 failed or refused, 2 usage or settings, 3 a dependency is unreachable, 130 interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meter.accounts_cli import app as accounts_app
from meter.check_cli import check
from meter.corrections_cli import reverse, revoke
from meter.forget_cli import forget
from meter.presentation import print_notes, print_result, print_settings
from meter.prune_cli import prune
from meter.recover_cli import recover_command
from meter.rejections_cli import app as rejections_app
from meter.rerouted_cli import rerouted
from meter.runtime.process.cli import make_app, run_command, run_service_command
from meter.runtime.process.exits import Exit
from meter.seal_cli import seal_command
from meter.split_cli import split_command
from meter.support_cli import grant, open_account
from meter.usage_cli import usage
from meter.verify_cli import verify
from meter.waiting_cli import waiting

if TYPE_CHECKING:
    from meter.settings import SetupSettings

app = make_app(
    "meter",
    "The event store of credit-meter: ingest usage from Kafka, open accounts, add credits.\n\n"
    "Settings come from the environment (METERING_POSTGRES_DSN, METERING_KAFKA_BOOTSTRAP, …).",
)
app.add_typer(accounts_app, name="accounts")
app.add_typer(rejections_app, name="rejections")
app.command(name="open")(open_account)
# A negative amount is no option: the contract has words for it.
app.command(context_settings={"ignore_unknown_options": True})(grant)
app.command()(check)
app.command(context_settings={"ignore_unknown_options": True})(reverse)
app.command(context_settings={"ignore_unknown_options": True})(revoke)
app.command()(usage)
app.command()(forget)
app.command()(verify)
app.command(name="recover")(recover_command)
app.command(name="seal")(seal_command)
app.command(name="split")(split_command)
app.command()(prune)
app.command()(rerouted)
app.command()(waiting)


@app.command()
def setup(
    roles: Annotated[bool, typer.Option(help="Make the database roles and their grants.")] = True,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; say what is missing or differs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per step.")] = False,
) -> None:
    """Make tables, shards, roles and topics; may be repeated.

    --check changes nothing and exits with 1 when something is missing or differs from the settings.

    Passwords of the roles are set from METERING_SETUP_PASSWORD_METER, _PROJECTIONS, _NOTIFIER, _SUPPORT, _READER,
    _CONSOLE, _PRUNER and _OWNER, where given. Roles and passwords need a superuser, as the first run does. Later ones
    may be credit_owner's, which has the schemas and nothing else.

    \b
    Examples:
      METERING_PARTITIONS=12 meter setup
      METERING_REPLICATION_FACTOR=3 meter setup --check
      meter setup --check --json | jq 'select(.outcome != "kept")'
    """
    from meter.runtime.clock import SystemClock
    from meter.settings import SetupSettings
    from meter.setup import KEPT, Step, check_setup, set_up

    def report(line: str) -> None:
        print_notes([line])

    def show(step: Step) -> None:
        print_result(
            {"step": step.name, "outcome": step.outcome, "detail": step.detail, "number": step.number},
            step.sentence,
            as_json=as_json,
        )

    async def look(settings: SetupSettings) -> None:
        steps = [step async for step in check_setup(settings)]
        for step in steps:
            show(step)
        if any(step.outcome != KEPT for step in steps):
            raise typer.Exit(Exit.FAILED)

    async def command(settings: SetupSettings) -> None:
        async for step in set_up(settings, SystemClock(), roles=roles, report=report):
            show(step)

    run_command(SetupSettings, look if check else command)


@app.command()
def run() -> None:
    """Store events from Kafka until SIGTERM or SIGINT.

    Serves /healthz, /readyz and /metrics on METERING_HTTP_PORT. Any number of processes share the shards.

    \b
    Example:
      METERING_HTTP_PORT=8080 meter run
    """
    from meter.service import build_meter
    from meter.settings import MeterSettings

    run_service_command("meter", MeterSettings, build_meter)


@app.command(name="settings")
def show_settings(as_json: Annotated[bool, typer.Option("--json", help="JSON lines for programs.")] = False) -> None:
    """List every setting of `run` and `setup`.

    Each as an environment variable, with its default and meaning.

    \b
    Example:
      meter settings | grep KAFKA
    """
    from meter.settings import SetupSettings

    print_settings(SetupSettings, as_json=as_json)


if __name__ == "__main__":
    app()
