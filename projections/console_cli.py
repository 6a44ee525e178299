"""The verbs of `projections` that are about the console: serve it, list its settings, print a token to try it."""

import json
from typing import Annotated

import typer

from meter.presentation import print_settings
from meter.runtime.process.cli import run_command, run_service_command, whole

app = typer.Typer()
Account = Annotated[str, typer.Argument(callback=whole, help="Account id.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


@app.command()
def console() -> None:
    """Show people their usage: summary, pages, banners, JSON.

    The pages are for billing, JSON is for other front ends. Runs until SIGTERM.
    Read-only, as the role credit_console; needs no Kafka. Listens on
    METERING_CONSOLE_HOST and METERING_CONSOLE_PORT (127.0.0.1:8090), and serves
    /healthz, /readyz and /metrics on METERING_HTTP_PORT. With keys
    (METERING_CONSOLE_SECRET, or METERING_CONSOLE_KEY_FILE) it asks for a token
    of the account; without, it listens on a loopback address only.

    \b
    Examples:
      METERING_HTTP_PORT=8083 projections console
      projections console-settings
    """
    from projections.console.service import build_console
    from projections.console.settings import ConsoleSettings

    run_service_command("console", ConsoleSettings, build_console, kafka=False)


@app.command(name="console-settings")
def show_console_settings(as_json: AsJson = False) -> None:
    """List every setting of the console.

    Each as an environment variable, with its default and meaning.

    \b
    Example:
      projections console-settings | grep CONSOLE
    """
    from projections.console.settings import ConsoleSettings

    print_settings(ConsoleSettings, as_json=as_json)


@app.command()
def token(
    account_id: Account,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How long it is valid.")] = 60,
    member: Annotated[bool, typer.Option("--member", help="For a person who cannot buy credits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a token for trying the console out.

    Your platform makes its own.
    Needs METERING_CONSOLE_SECRET, or a private key in METERING_CONSOLE_KEY_FILE.

    \b
    Example:
      projections token acct-1
    """
    from meter.runtime.clock import SystemClock
    from projections.console.settings import ConsoleSettings
    from projections.console.tokens import make_token

    async def command(settings: ConsoleSettings) -> str:
        return make_token(settings, account_id, minutes=minutes, member=member, clock=SystemClock())

    made = run_command(ConsoleSettings, command)
    # Not a sentence: a token is never broken, also where a line is too short for it.
    print(json.dumps({"account": account_id, "minutes": minutes, "token": made}) if as_json else made)
