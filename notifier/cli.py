"""The `notifier` command.

Exit codes: 0 ok, 1 failed or refused, 2 usage or settings, 3 a dependency is unreachable, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meter.presentation import print_notes, print_sentences, print_settings, print_table, printable
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import make_app, run_command, run_service_command
from notifier.emails_cli import app as emails_app
from notifier.listing import Account, All, JsonOutput, Limit, choose_limit, open_report, print_newest, print_rows
from schemas.figures import count_of

if TYPE_CHECKING:
    from notifier.settings import NotifierSettings
    from notifier.store.report import Report, Row

app = make_app(
    "notifier",
    "Notices of credit-meter: banners and emails when an account uses up its credits.\n\n"
    "Settings come from the environment (METERING_POSTGRES_DSN, METERING_SMTP_HOST, …): see `notifier settings`.",
)

app.add_typer(emails_app, name="emails")

NOTICE_COLUMNS = (
    "created_at", "resource", "epoch", "channel", "threshold", "outcome", "consumed", "allocation", "contact", "says",
)  # fmt: skip
# What came of a line at the moment of its crossing; who knows of it is in `says`. Programs have it as `outcome`: there
# `delivered` is of a line and not of an address, and beside an address people take it for that.
CROSSINGS = {
    "delivered": "highest",
    "superseded": "lower",
    "seeded": "at start",
    "no_contact": "nobody",
}
# What `says` says, as values: for programs.
STATE_COLUMNS = ("state", "reason", "letter", "at")
BANNER_COLUMNS = ("resource", "threshold", "kind", "removable", "raised_at", "text")


@app.command()
def run() -> None:
    """Raise banners and send emails until SIGTERM or SIGINT.

    Serves /healthz, /readyz and /metrics on METERING_HTTP_PORT. Any number of processes share the work.

    \b
    Example:
      export METERING_SMTP_HOST=smtp.example.com
      METERING_MAIL_FROM=credits@example.com notifier run
    """
    from notifier.service import build_notifier
    from notifier.settings import NotifierSettings

    run_service_command("notifier", NotifierSettings, build_notifier)


@app.command()
def reread(as_json: JsonOutput = False) -> None:
    """Go on with metering.balances as it is now, from its beginning.

    After it was re-created, or after the notifier was away for longer than its retention. What is known already is
    dropped, so nobody is told anything twice. What the topic no longer holds comes with `projections republish`.

    \b
    Example:
      projections republish --new-topic      # where the topic was re-created
      notifier reread
    """
    from meter.runtime.postgres import opened_pool
    from notifier.reread import reread as reread_topic
    from notifier.settings import NotifierSettings

    async def command(settings: NotifierSettings) -> None:
        async with opened_pool(settings, "credit-notifier-reread") as pool:
            begins = await reread_topic(settings, pool)
        if as_json:
            print_table(("shard", "offset"), sorted(begins.items()), as_json=True)
        else:
            print_sentences([f"metering.balances is read from its beginning: {count_of(len(begins), 'shard')}"])

    run_command(NotifierSettings, command)


@app.command()
def notices(account_id: Account, limit: Limit = None, everything: All = False, as_json: JsonOutput = False) -> None:
    """List the notices of an account, and who knows of each.

    Every threshold that it crossed, newest first.
    Each line of emails that was reached in the present epoch is, for each contact, exactly one of: told by a letter,
    covered by a letter about a higher line, known from an earlier epoch, owed with the reason, or lapsed. What came of
    a line when it was crossed (`outcome` in a pipe and in JSON) says nothing of that.

    On a terminal a table, or blocks where it is too narrow; tab-separated lines in a pipe. Shows email addresses: the
    role must be allowed to read them.

    \b
    Examples:
      notifier notices acc-1 --all
      notifier notices acc-1 --json | jq 'select(.state == "owed")'
    """
    from notifier.settings import NotifierSettings

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            await check_known(report, account_id)
            shown = choose_limit(limit, everything=everything, as_json=as_json)
            rows = await report.list_notices(account_id, shown + 1)
            if sys.stdout.isatty() and not as_json:
                columns = tuple("crossing" if name == "outcome" else name for name in NOTICE_COLUMNS)
                print_newest(columns, [describe_crossing(row) for row in rows], shown, as_json=False)
            else:
                said = NOTICE_COLUMNS[:-1] if as_json else NOTICE_COLUMNS  # without the sentence
                print_newest((*said, *STATE_COLUMNS), rows, shown, as_json=as_json)

    run_command(NotifierSettings, command)


@app.command()
def banners(account_id: Account, as_json: JsonOutput = False) -> None:
    """List the banners that an account sees now: one per resource.

    \b
    Example:
      notifier banners acc-1
    """
    from notifier.settings import NotifierSettings

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            await check_known(report, account_id)
            print_rows(BANNER_COLUMNS, await report.list_banners(account_id), as_json=as_json)

    run_command(NotifierSettings, command)


@app.command()
def preview(
    directory: Annotated[Path, typer.Argument(help="Directory to write to; it is made if it is missing.")],
    as_json: JsonOutput = False,
) -> None:
    """Write every letter and banner to look at; send nothing.

    With the templates, the sender and the links of the settings.
    Each state is there: low, expired, overdrawn, refused, both resources, long and hostile names. Open index.html
    first.

    \b
    Example:
      METERING_TEMPLATES_DIR=./texts notifier preview ./preview
    """
    from meter.runtime.clock import SystemClock
    from notifier.preview import write_preview
    from notifier.render import Renderer
    from notifier.settings import NotifierSettings

    async def command(settings: NotifierSettings) -> None:
        renderer = Renderer(settings.sender, settings.templates_dir)
        try:
            written = write_preview(renderer, directory, SystemClock().now())
        except OSError as error:
            raise RefusalError(f"{directory}: {error.strerror}. Give a directory that can be written to.") from None
        if as_json:
            files = [(str(each.path), each.kind, each.sample) for each in written]
            print_table(("file", "kind", "sample"), files, as_json=True)
        elif sys.stdout.isatty():
            print_table(("file", "says"), [(str(each.path), each.says) for each in written], as_json=False)
        else:
            print("\n".join(f"{printable(each.path)}\t{each.says}" for each in written))
        if settings.support_url is None and settings.support_email is None:
            asked = settings.sender.whom_to_ask
            print_notes([f"Without METERING_SUPPORT_URL or METERING_SUPPORT_EMAIL letters say: ask {asked}."])

    run_command(NotifierSettings, command)


@app.command(name="settings")
def show_settings(as_json: JsonOutput = False) -> None:
    """List every setting.

    Each as an environment variable, with its default and meaning.

    \b
    Example:
      notifier settings | grep SMTP
    """
    from notifier.settings import NotifierSettings

    print_settings(NotifierSettings, as_json=as_json)


def describe_crossing(row: Row) -> Mapping[str, Any]:
    """A notice's row with its outcome as words."""
    return {**row, "crossing": CROSSINGS.get(row["outcome"], row["outcome"])}


async def check_known(report: Report, account_id: str) -> None:
    if not await report.knows(account_id):
        raise RefusalError(f"the notifier knows no account {account_id!r}")
