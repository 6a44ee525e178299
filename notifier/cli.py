"""The `notifier` command. Exit codes: 0 ok, 1 failed or refused, 2 usage or settings, 3 a dependency is unreachable."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from meter.presentation import print_settings, print_table
from meter.runtime.clock import SystemClock
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import close_pool, open_pool
from meter.runtime.process.cli import make_app, run_command, run_service_command
from notifier.model import BannerKind
from notifier.render import SAMPLE_ACCOUNT, Renderer, sample_balances
from notifier.service import build_notifier
from notifier.settings import NotifierSettings
from notifier.store.report import Report, Row

app = make_app(
    "notifier",
    "Notices of credit-meter: banners and emails when an account uses up its credits.\n\n"
    "Settings come from the environment (METERING_POSTGRES_DSN, METERING_SMTP_HOST, …): see `notifier settings`.",
)

NOTICE_COLUMNS = (
    "created_at", "resource", "epoch", "channel", "threshold", "outcome", "consumed", "allocation",
    "recipient", "state", "attempts", "ambiguous_attempts", "finished_at", "reason",
)  # fmt: skip
BANNER_COLUMNS = ("resource", "threshold", "kind", "removable", "raised_at", "text")
EMAIL_COLUMNS = (
    "created_at", "email_id", "account_id", "recipient", "state", "lines", "attempts",
    "ambiguous_attempts", "next_attempt_at", "finished_at", "reason",
)  # fmt: skip

JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Account = Annotated[str, typer.Argument(help="Account id: 1 to 128 of A-Z a-z 0-9 . _ : @ -")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Show only this number, the newest.")]


class EmailState(StrEnum):
    QUEUED = "queued"
    ACCEPTED = "accepted"
    PRESUMED = "presumed"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    CAPPED = "capped"
    CANCELLED = "cancelled"


@asynccontextmanager
async def open_report(settings: NotifierSettings) -> AsyncIterator[Report]:
    pool = await open_pool(settings, "credit-notices")
    try:
        yield Report(pool)
    finally:
        await close_pool(pool)


@app.command()
def run() -> None:
    """Raise banners and send emails until SIGTERM or SIGINT.

    \b
    Serves /healthz, /readyz and /metrics on METERING_HTTP_PORT. Any number of processes share the work.

    \b
    Example:
      METERING_SMTP_HOST=smtp.example.com METERING_MAIL_FROM=credits@example.com notifier run
    """
    run_service_command("notifier", NotifierSettings, build_notifier)


@app.command()
def notices(account_id: Account, limit: Limit = 100, as_json: JsonOutput = False) -> None:
    """List the notices of an account, newest first: every threshold it crossed, with the state of each email.

    \b
    A table on a terminal, tab-separated lines in a pipe. Shows email addresses: the role must be allowed to read them.

    \b
    Examples:
      notifier notices acc-1
      notifier notices acc-1 --json | jq 'select(.state == "given_up")'
    """

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            await check_known(report, account_id)
            print_rows(NOTICE_COLUMNS, await report.list_notices(account_id, limit), as_json=as_json)

    run_command(NotifierSettings, command)


@app.command()
def banners(account_id: Account, as_json: JsonOutput = False) -> None:
    """List the banners that an account sees now, at most one per resource.

    \b
    Example:
      notifier banners acc-1
    """

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            await check_known(report, account_id)
            print_rows(BANNER_COLUMNS, await report.list_banners(account_id), as_json=as_json)

    run_command(NotifierSettings, command)


@app.command()
def emails(
    state: Annotated[EmailState | None, typer.Option(help="Only letters in this state.")] = None,
    account: Annotated[str | None, typer.Option(help="Only letters of this account.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only letters to this address.")] = None,
    limit: Limit = 50,
    as_json: JsonOutput = False,
) -> None:
    """List letters, newest first, each with the lines that it tells, its state and its last reason.

    \b
    Examples:
      notifier emails --account acc-1
      notifier emails --state given_up --json | jq -r .reason | sort | uniq -c
    """

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            found = await report.list_emails(state and state.value, account, recipient, limit)
            print_rows(EMAIL_COLUMNS, [describe_letter(row) for row in found], as_json=as_json)

    run_command(NotifierSettings, command)


@app.command()
def preview(
    directory: Annotated[Path, typer.Argument(help="Directory to write to; it is made if it is missing.")],
) -> None:
    """Write sample emails and banners with the templates, sender and links of the settings; sends nothing.

    \b
    Example:
      METERING_TEMPLATES_DIR=./texts notifier preview ./preview && open ./preview/model_credits.html
    """

    async def command(settings: NotifierSettings) -> None:
        for path in write_preview(settings, directory, SystemClock().now()):
            print(path)

    run_command(NotifierSettings, command)


@app.command(name="settings")
def show_settings(as_json: JsonOutput = False) -> None:
    """List every setting as an environment variable, with its default and meaning.

    \b
    Example:
      notifier settings | grep SMTP
    """
    print_settings(NotifierSettings, as_json=as_json)


async def check_known(report: Report, account_id: str) -> None:
    if not await report.knows(account_id):
        raise RefusalError(f"the notifier knows no account {account_id!r}")


def print_rows(columns: Sequence[str], rows: Sequence[Row], *, as_json: bool) -> None:
    print_table(columns, [[plain(row[column]) for column in columns] for row in rows], as_json=as_json)


def plain(value: object) -> object:
    """A value that JSON can hold: amounts and times become text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value) if isinstance(value, UUID) else value


def describe_letter(row: Row) -> dict[str, Any]:
    """A letter's row with its lines as words: model_credits 80 % (epoch 2)."""
    lines = [f"{line['resource']} {line['line']} % (epoch {line['epoch']})" for line in json.loads(row["lines"])]
    return {**row, "lines": ", ".join(lines) or None}


def write_preview(settings: NotifierSettings, directory: Path, at: datetime) -> list[Path]:
    renderer = Renderer(settings.sender, settings.templates_dir)
    renderer.check(at)
    files: dict[str, str] = {}
    for balances in sample_balances():
        first = balances[0]
        letter, resource = renderer.render_letter(balances, SAMPLE_ACCOUNT, at), first.resource
        files[f"{resource}.html"] = letter.html
        files[f"{resource}.txt"] = f"Subject: {letter.subject}\n\n{letter.text}"
        for kind in BannerKind:
            text = renderer.render_banner(kind, first, first.line, SAMPLE_ACCOUNT)
            files[f"banner_{kind.value}_{resource}.txt"] = text + "\n"
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [directory / name for name in files]
