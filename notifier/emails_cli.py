"""`notifier emails`: list letters, look at one with its tries, have another try at what did not arrive."""

from __future__ import annotations

import sys
from enum import StrEnum
from getpass import getuser
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from meter.presentation import print_fields, print_result, print_table
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import FullIds, Group, run_command
from notifier.listing import (
    All,
    JsonOutput,
    Limit,
    choose_limit,
    describe_letter,
    open_report,
    plain,
    print_newest,
    print_rows,
)

if TYPE_CHECKING:
    from notifier.reading import Read
    from notifier.settings import NotifierSettings
    from notifier.store.retry import Request, RetryRequests

app = typer.Typer(
    cls=Group,
    help="Letters: list them, look at one, have one tried again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

IDS = ("email_id", "account_id")
EMAIL_COLUMNS = (
    "created_at", "email_id", "account_id", "recipient", "state", "lines", "attempts", "ambiguous_attempts",
    "next_attempt_at", "finished_at", "reason",
)  # fmt: skip
SHOWN = (
    "email_id", "account_id", "recipient", "is_contact", "refused", "state", "subject", "lines", "reason", "told",
    "reached_now", "attempts", "ambiguous_attempts", "created_at", "next_attempt_at", "finished_at",
)  # fmt: skip
ATTEMPT_COLUMNS = ("claim", "started_at", "ended_at", "outcome", "phase", "reply_code", "detail")

# What came of asking for another try, where it is no answer of the notifier's.
ASKED, UNANSWERED, UNKNOWN = "asked", "unanswered", "unknown"

EmailId = Annotated[UUID, typer.Argument(help="Id of a letter, as `notifier emails list` shows it.")]


class EmailState(StrEnum):
    QUEUED = "queued"
    ACCEPTED = "accepted"
    PRESUMED = "presumed"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    CAPPED = "capped"
    CANCELLED = "cancelled"


@app.command(name="list")
def list_(
    state: Annotated[EmailState | None, typer.Option(help="Only letters in this state.")] = None,
    account: Annotated[str | None, typer.Option(help="Only letters of this account.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only letters to this address, in any spelling.")] = None,
    limit: Limit = None,
    everything: All = False,
    full_ids: FullIds = False,
    as_json: JsonOutput = False,
) -> None:
    """List letters, newest first, with state and last reason.

    Each has the lines that it tells.

    \b
    Examples:
      notifier emails list --account acc-1
      notifier emails list --recipient owner@example.com
      notifier emails list --state given_up --json | jq -r .reason
    """
    from notifier.settings import NotifierSettings

    address = None if recipient is None else read_recipient(recipient)

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            shown = choose_limit(limit, everything=everything, as_json=as_json)
            found = await report.list_emails(state and state.value, account, address, shown + 1)
            rows, ids = [describe_letter(row, as_json=as_json) for row in found], () if full_ids else IDS
            print_newest(EMAIL_COLUMNS, rows, shown, as_json=as_json, ids=ids)

    run_command(NotifierSettings, command)


def read_recipient(text: str) -> str:
    """As contacts are taken: the domain in its ASCII form. The query leaves capitals out of account."""
    from schemas.contacts import read_address  # brings the tables of international domains

    address = read_address(text.strip())
    if address is None:
        raise typer.BadParameter("write one plain address, like owner@example.com", param_hint="--recipient")
    return address


@app.command()
def show(
    email_id: EmailId,
    text: Annotated[bool, typer.Option("--text", help="Print the letter itself: its subject and its text.")] = False,
    as_json: JsonOutput = False,
) -> None:
    """Show a letter and every try; with --text what it says.

    Shows what its contact was told, and what is reached now.
    The text is that of the bytes that were handed over to the mail server. They are kept for METERING_MAIL_KEEP_DAYS
    after the letter's end.

    \b
    Examples:
      notifier emails show 6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10
      notifier emails show 6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10 --text
    """
    from notifier.reading import read_letter
    from notifier.settings import NotifierSettings
    from notifier.store.retry import NO_SUCH_LETTER

    async def command(settings: NotifierSettings) -> None:
        async with open_report(settings) as report:
            row = await report.show_email(email_id)
            if row is None:
                raise RefusalError(f"{email_id}: {NO_SUCH_LETTER}")
            said = read_letter(row["message"]) if row["message"] is not None else None
            if text:
                print_text(email_id, row["state"], said, as_json=as_json)
                return
            letter = {**describe_letter(row, as_json=as_json), "subject": said and said.subject}
            print_fields({name: plain(letter[name]) for name in SHOWN}, as_json=as_json)
            if sys.stdout.isatty():
                print()
            print_rows(ATTEMPT_COLUMNS, await report.list_attempts(email_id), as_json=as_json)

    run_command(NotifierSettings, command)


def print_text(email_id: UUID, state: str, said: Read | None, *, as_json: bool) -> None:
    """Raises RefusalError where there is none."""
    from notifier.reading import why_no_text

    if said is None:
        raise RefusalError(f"{email_id}: {why_no_text(state)}")
    if as_json:
        print_table(("email_id", "subject", "text"), [(str(email_id), *said)], as_json=True)
    else:
        print(f"Subject: {said.subject}\n\n{said.text}", end="")


@app.command()
def retry(
    email_ids: Annotated[list[UUID], typer.Argument(help="Ids of letters that were refused or given up.")],
    by: Annotated[str | None, typer.Option(help="Who asks, for the record; default: the user's name.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the notifier's answer and print it.")] = True,
    as_json: JsonOutput = False,
) -> None:
    """Try again what was refused or given up, once its cause is gone.

    What is owed now is sent.
    The running notifier does it, so that support needs no right to change letters. Exit 1 when a letter is on its way
    already, or nothing is owed.

    \b
    Example:
      notifier emails retry 6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10
    """
    from meter.runtime.postgres import opened_pool
    from meter.runtime.process.interruption import say_when_interrupted
    from notifier.settings import NotifierSettings
    from notifier.store.retry import Retried, RetryRequests

    async def command(settings: NotifierSettings) -> None:
        async with opened_pool(settings, "credit-notices") as pool:
            requests = RetryRequests(pool)
            say_when_interrupted(". What was asked for is tried all the same: see `notifier emails list`.")
            asked = {number: await requests.ask(number, by or getuser()) for number in dict.fromkeys(email_ids)}
            if not wait:
                outcomes = {number: UNKNOWN if request is None else ASKED for number, request in asked.items()}
            else:
                outcomes = {number: await wait_for_answer(requests, request) for number, request in asked.items()}
        for number, outcome in outcomes.items():
            fields = {"email_id": str(number), "queued": outcome == Retried.QUEUED, "outcome": outcome}
            print_result(fields, f"{number}: {describe_outcome(outcome)}", as_json=as_json)
        if any(outcome not in (ASKED, Retried.QUEUED) for outcome in outcomes.values()):
            raise RefusalError("not every letter was queued")

    run_command(NotifierSettings, command)


async def wait_for_answer(requests: RetryRequests, request: Request | None) -> str:
    from meter.sending import EFFECT_TIMEOUT_S, ask_until

    if request is None:
        return UNKNOWN
    answer = await ask_until(lambda: requests.fetch_answer(request), EFFECT_TIMEOUT_S)
    return UNANSWERED if answer is None else answer.value


def describe_outcome(outcome: str) -> str:
    from meter.sending import EFFECT_TIMEOUT_S
    from notifier.store.retry import NO_SUCH_LETTER, Retried

    words = {
        ASKED: "asked for",
        UNANSWERED: f"asked for, and not answered after {EFFECT_TIMEOUT_S} s: is `notifier run` running? It goes on "
        "from here",
        UNKNOWN: NO_SUCH_LETTER,
    }
    return words[outcome] if outcome in words else Retried(outcome).words
