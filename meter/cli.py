"""The `meter` command. Exit codes: 0 ok, 1 failed or refused, 2 usage or settings, 3 a dependency is unreachable."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from meter.client import AccountsProducer, DeliveryError, InvalidEventError
from meter.presentation import print_settings
from meter.rejections_cli import app as rejections_app
from meter.rerouted_cli import rerouted
from meter.runtime.clock import SystemClock
from meter.runtime.process.cli import fail, make_app, run_command, run_service_command
from meter.runtime.process.service import Exit
from meter.runtime.settings import Settings
from meter.service import build_meter
from meter.settings import MeterSettings, SetupSettings
from meter.setup import set_up
from meter.verify_cli import verify
from schemas.build import new_event_id
from schemas.resources import Resource

SOURCE = "/credit-meter/cli"
DELIVERY_TIMEOUT_S = 30
Send = Callable[[AccountsProducer, str], Awaitable[None]]

app = make_app(
    "meter",
    "The event store of credit-meter: ingest usage from Kafka, open accounts, add credits.\n\n"
    "Settings come from the environment (METERING_POSTGRES_DSN, METERING_KAFKA_BOOTSTRAP, …).",
)
app.add_typer(rejections_app, name="rejections")
app.command()(verify)
app.command()(rerouted)

Account = Annotated[str, typer.Argument(help="Account id: 1 to 128 of A-Z a-z 0-9 . _ : @ -")]
EventId = Annotated[
    str | None, typer.Option(help="Id of the event. Repeat a command with the same one and it counts once.")
]


@app.command()
def setup(
    roles: Annotated[bool, typer.Option(help="Make the database roles and their grants.")] = True,
) -> None:
    """Make tables, shards, roles and topics; may be repeated at any time.

    \b
    Passwords of the roles are set from METERING_SETUP_PASSWORD_METER, _PROJECTIONS, _NOTIFIER, _SUPPORT and _READER,
    where given.

    \b
    Example:
      METERING_PARTITIONS=12 meter setup
    """

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    async def command(settings: SetupSettings) -> None:
        async for step in set_up(settings, SystemClock(), roles=roles, report=report):
            print(f"{step.name}: {step.outcome}", flush=True)

    run_command(SetupSettings, command)


@app.command()
def run() -> None:
    """Store events from Kafka until SIGTERM or SIGINT.

    \b
    Serves /healthz, /readyz and /metrics on METERING_HTTP_PORT. Any number of processes share the shards.

    \b
    Example:
      METERING_HTTP_PORT=8080 meter run
    """
    run_service_command("meter", MeterSettings, build_meter)


@app.command(name="open")
def open_account(
    account_id: Account,
    plan: Annotated[str, typer.Option(help="Plan, in lower case; free is the free plan.")] = "free",
    contact: Annotated[
        list[str] | None, typer.Option(help="Email address that gets the notices; may be repeated.")
    ] = None,
    display_name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    event_id: EventId = None,
) -> None:
    """Open an account. It gets the free allowance, once, however often it is opened.

    \b
    Example:
      meter open acc-1 --plan free --contact owner@example.com --contact billing@example.com
    """

    async def send(producer: AccountsProducer, id: str) -> None:
        await producer.opened(account_id, plan=plan, contacts=contact or [], display_name=display_name, event_id=id)

    print(send_event(event_id, send))


@app.command()
def grant(
    account_id: Account,
    resource: Annotated[Resource, typer.Argument(help="What is granted.")],
    amount: Annotated[str, typer.Argument(help="Credits or runs, at most six decimals.")],
    reason: Annotated[str, typer.Option(help="Why, for the history.")],
    reference: Annotated[str, typer.Option(help="Ticket, invoice or order it follows from.")],
    event_id: EventId = None,
) -> None:
    """Add credits or runs to an account.

    \b
    Example:
      meter grant acc-1 model_credits 100 --reason top_up --reference invoice-2041
    """

    async def send(producer: AccountsProducer, id: str) -> None:
        await producer.granted(
            account_id, resource=resource, amount=amount, reason=reason, reference=reference, event_id=id
        )

    print(send_event(event_id, send))


@app.command(name="settings")
def show_settings(as_json: Annotated[bool, typer.Option("--json", help="JSON lines for programs.")] = False) -> None:
    """Every setting of `run` and `setup` as an environment variable, with its default and meaning.

    \b
    Example:
      meter settings | grep KAFKA
    """
    print_settings(SetupSettings, as_json=as_json)


def send_event(event_id: str | None, send: Send) -> str:
    """Send one event and wait for its acknowledgement; its id. After a fault the message says how to repeat it."""
    sent_id = event_id or new_event_id()

    async def command(settings: Settings) -> None:
        async with AccountsProducer(settings, source=SOURCE, delivery_timeout_s=DELIVERY_TIMEOUT_S) as producer:
            await send(producer, sent_id)

    try:
        run_command(Settings, command)
    except InvalidEventError as error:
        raise fail(str(error), Exit.USAGE) from None
    except DeliveryError as error:
        raise fail(f"{error}\nIt may have arrived: repeat with --event-id {sent_id}", Exit.UNREACHABLE) from None
    return sent_id


if __name__ == "__main__":
    app()
