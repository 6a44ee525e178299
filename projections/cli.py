"""The `projections` command.

Exit codes: 0 ok, 1 failed or refused, 2 usage or settings, 3 a dependency is unreachable, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_settings, print_table
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import FullIds, make_app, run_command, run_service_command, whole
from meter.runtime.process.exits import Exit
from projections.console_cli import app as console_commands
from projections.models import Model
from projections.republish_cli import republish
from schemas.resources import Resource

if TYPE_CHECKING:
    from meter.progress import Advance
    from projections.explain import Explanation
    from projections.rebuild import Exchange
    from projections.settings import ProjectionsSettings, VerifySettings
    from projections.verify import NoticeRules

app = make_app(
    "projections",
    "The read models of credit-meter: balances, usage by day, accounts.\n\n"
    "Settings come from the environment (METERING_POSTGRES_DSN, METERING_KAFKA_BOOTSTRAP, …).",
)

app.command()(republish)

Account = Annotated[str, typer.Argument(callback=whole, help="Account id.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


@app.command()
def run() -> None:
    """Fold events into balances and publish what changed.

    Runs until SIGTERM or SIGINT.
    Serves /healthz, /readyz and /metrics on METERING_HTTP_PORT. Any number of processes share the shards.

    \b
    Example:
      METERING_HTTP_PORT=8081 projections run
    """
    from projections.service import build_projections
    from projections.settings import ProjectionsSettings

    run_service_command("projections", ProjectionsSettings, build_projections)


@app.command()
def show(account_id: Account, as_json: AsJson = False) -> None:
    """Show what an account has left, and where it went.

    Says whether it may go on.
    In a pipe: tab-separated balances. Exit code 1 when nobody opened the account.

    \b
    Examples:
      projections show acc-1
      projections show acc-1 --json | jq .balances
    """
    from meter.runtime.clock import SystemClock
    from meter.runtime.postgres import opened_pool
    from projections.reader import BalanceReader
    from projections.settings import ProjectionsSettings
    from projections.show import read_shown_usage, show_account

    async def command(settings: ProjectionsSettings) -> None:
        async with opened_pool(settings, "credit-projections-show") as pool:
            reader = BalanceReader(pool)
            balances = await reader.get(account_id)
            account = await reader.account(account_id)
            if not balances and account is None:
                raise RefusalError(
                    f"nobody opened account {account_id}: it is allowed nothing. Look at the id; what came for it is "
                    f"kept until it is opened: meter accounts show {account_id}"
                )
            usage = await read_shown_usage(reader, account_id, SystemClock().now().date(), as_json=as_json)
            show_account(account, balances, usage, as_json=as_json)

    run_command(ProjectionsSettings, command)


@app.command()
def explain(
    account_id: Account,
    resource: Annotated[Resource | None, typer.Option(help="Only this one.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Length of each list; the newest entries are kept.")
    ] = 200,
    everything: Annotated[bool, typer.Option("--all", help="On a terminal, too: all entries of each list.")] = False,
    full_ids: FullIds = False,
    as_json: AsJson = False,
) -> None:
    """Explain a balance from the log.

    Grants, usage, when each threshold was reached, and the notices.
    On a terminal: the newest entries, the newest of a timeline last, and what was left out; --all shows everything.
    In a pipe: all of it, tab-separated, each line opens with its section. Reads through the account's shard; writes
    nothing. Exit code 1 when nothing is known of the account, or when the stored balance is not what the log says.

    Needs the role credit_support to read notices and emails; email addresses are shown. Thresholds are
    METERING_BANNER_THRESHOLDS and METERING_EMAIL_THRESHOLDS, and those that the account has notices of.

    \b
    Examples:
      projections explain acc-1
      projections explain acc-1 --all | less
      projections explain acc-1 --resource model_credits | grep ^timeline
      projections explain acc-1 --json | jq .summary
    """
    from meter.runtime.postgres import opened_pool
    from projections.explain import Explainer
    from projections.settings import VerifySettings
    from projections.show_explanation import show_explanation

    async def command(settings: VerifySettings) -> Explanation:
        async with opened_pool(settings, "credit-projections-explain") as pool:
            return await Explainer(
                account_id,
                thresholds={*settings.banner_thresholds, *settings.email_thresholds},
                resource=resource,
                limit=limit,
                watch=show_reading,
            ).explain(pool)

    explanation = run_command(VerifySettings, command)
    show_explanation(explanation, as_json=as_json, everything=everything, full_ids=full_ids)
    if explanation.differences:
        raise typer.Exit(Exit.FAILED)


@contextmanager
def show_reading(events: int) -> Iterator[Advance]:
    """A progress bar, unless there is only one range to read."""
    from meter.progress import show_progress
    from projections.explain import RANGE_EVENTS

    if events <= RANGE_EVENTS:
        yield lambda events: None
        return
    with show_progress("explain", events) as advance:
        yield advance


@app.command(name="settings")
def show_settings(as_json: AsJson = False) -> None:
    """List every setting.

    Each as an environment variable, with its default and meaning.

    \b
    Example:
      projections settings | grep POSTGRES
    """
    from projections.settings import VerifySettings

    print_settings(VerifySettings, as_json=as_json)


@app.command()
def verify(
    settled: Annotated[
        bool, typer.Option("--settled", help="The notifier has read everything: a notice that is not there is missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute all again from the log and list differences.

    All are the read models and the notices.
    Writes nothing; the services may run. In a pipe: tab-separated differences. Exit code 1 when there are any.

    Comparing notices needs the role credit_support. Any other role gets a message on stderr, and verify compares the
    rest. Thresholds are those that the notifier recorded, each from the position from which it counts. Where it has
    recorded none yet, METERING_BANNER_THRESHOLDS and METERING_EMAIL_THRESHOLDS are taken.

    A notice whose balance the notifier has not read yet counts as on its way.
    If that count does not fall while no outbox and no consumer lags, --settled lists these notices as missing.

    \b
    Examples:
      projections verify
      projections verify --json | jq .account_id
      projections verify --settled | grep letters
    """
    from meter.runtime.postgres import opened_pool
    from projections.settings import VerifySettings
    from projections.show_differences import show_advice, show_differences
    from projections.verify import NoticeRules, find_obstacle
    from projections.verify import verify as verify_models

    async def command(settings: VerifySettings) -> set[str]:
        async with opened_pool(settings, "credit-projections-verify") as pool:
            rules: NoticeRules | None = NoticeRules(settings.banner_thresholds, settings.email_thresholds, settled)
            if obstacle := await find_obstacle(pool):
                print(f"notices are NOT compared: {obstacle}", file=sys.stderr, flush=True)
                rules = None
            models = set()
            async for report in verify_models(pool, rules):
                show_differences(report, as_json=as_json)
                models |= {difference.model for difference in report.differences}
            return models

    if models := run_command(VerifySettings, command):
        show_advice(models)
        raise typer.Exit(Exit.FAILED)


@app.command()
def rebuild(
    name: Annotated[Model | None, typer.Argument(help="Which read model; default: all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare only and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute read models again; replace rows that differ.

    They come from the log. The service may run; nothing is published.

    \b
    Examples:
      projections rebuild balances --dry-run
      projections rebuild
    """
    from meter.progress import show_progress
    from meter.runtime.postgres import opened_pool
    from projections.rebuild import Exchange, Rebuild, count_events
    from projections.settings import ProjectionsSettings

    models = list(Model) if name is None else [name]

    async def command(settings: ProjectionsSettings) -> list[Exchange]:
        async with opened_pool(settings, "credit-projections-rebuild") as pool:
            total = await count_events(pool, models)
            with show_progress("rebuild", total) as advance:
                return await Rebuild(pool, models, progress=advance, dry_run=dry_run).run()

    exchanges = run_command(ProjectionsSettings, command)
    print_table(Exchange._fields, exchanges, as_json=as_json)


app.registered_commands += console_commands.registered_commands


if __name__ == "__main__":
    app()
