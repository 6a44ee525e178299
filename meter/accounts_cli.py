"""`meter accounts`: find an account, and show what it is, what it has and what was left out of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meter.changes_cli import app as changes
from meter.presentation import print_fields, print_table
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import FullIds, Group, run_command
from meter.support_cli import Account, JsonOutput

if TYPE_CHECKING:
    from datetime import datetime

    from meter.effects import AccountNow, BalanceNow, KeptAccount
    from meter.runtime.settings import Settings
    from meter.store.outcomes import RemarkLine, UnopenedLine

MAX_REMARKS = 100
NONE_YET = "none before the opening: what is granted and used counts from then on"
IDS = ("account",)
COLUMNS = ("account", "plan", "name", "opened")
UNOPENED_COLUMNS = (
    "account", "since", "credits_granted", "credits_used", "runs_granted", "runs_used", "plan", "name", "time_zone",
    "contacts",
)  # fmt: skip

Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Largest number of accounts to list.")]
JsonLines = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]

app = typer.Typer(
    cls=Group,
    help="Accounts, contacts and balances: find, show, change them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.registered_commands += changes.registered_commands


@app.command()
def find(
    text: Annotated[str, typer.Argument(help="Part of an id, plan, name or contact, in any case of letters.")],
    limit: Limit = 50,
    full_ids: FullIds = False,
    as_json: JsonLines = False,
) -> None:
    """List the accounts that a text occurs in.

    A table on a terminal, tab-separated lines in a pipe.

    \b
    Example:
      meter accounts find owner@example.com
    """
    from meter.runtime.settings import Settings
    from meter.store.outcomes import open_outcomes

    async def command(settings: Settings) -> None:
        async with open_outcomes(settings) as outcomes:
            lines = await outcomes.find_accounts(text, limit)
        rows = [[*line[:3], line.opened_at.isoformat(timespec="seconds")] for line in lines]
        print_table(COLUMNS, rows, as_json=as_json, ids=() if full_ids else IDS)

    run_command(Settings, command)


@app.command()
def unopened(limit: Limit = 50, full_ids: FullIds = False, as_json: JsonLines = False) -> None:
    """List the accounts that nobody opened and that have events.

    They were used, granted to or named all the same.
    All of it is kept, nothing is allowed. The opening applies it: what was granted counts, and plan, name, time zone
    and contacts win over the opening's own. An id that stands here by mistake is a producer's: look at its source.

    \b
    Example:
      meter accounts unopened
    """
    from meter.runtime.settings import Settings
    from meter.store.outcomes import open_outcomes

    async def command(settings: Settings) -> None:
        async with open_outcomes(settings) as outcomes:
            lines = await outcomes.list_unopened(limit)
        cells = [unopened_cells(line) for line in lines]
        print_table(UNOPENED_COLUMNS, cells, as_json=as_json, ids=() if full_ids else IDS)

    run_command(Settings, command)


def unopened_cells(line: UnopenedLine) -> list[object]:
    """Amounts as plain decimal text; what nobody named stays empty."""
    amounts = (line.credits_granted, line.credits_used, line.runs_granted, line.runs_used)
    since = None if line.since is None else line.since.isoformat()
    plain = [f"{amount.normalize():f}" for amount in amounts]
    return [line.account_id, since, *plain, line.plan, line.display_name, line.time_zone, line.contacts]


@app.command()
def show(account_id: Account, as_json: JsonOutput = False) -> None:
    """Show plan, name, contacts and balances of an account.

    Shows what was left out of its events, too.
    Of an account that nobody opened it shows what is kept until then: what was granted and used, and how many events.

    \b
    Example:
      meter accounts show acc-1
    """
    from meter.effects import describe_kept, kept_fields
    from meter.runtime.settings import Settings
    from meter.store.outcomes import open_outcomes
    from schemas.times import say_time

    async def command(settings: Settings) -> None:
        async with open_outcomes(settings) as outcomes:
            account = await outcomes.fetch_account(account_id)
            kept = await outcomes.fetch_kept(account_id) if account is None else None
            amounts, changes = await outcomes.fetch_kept_amounts(account_id) if account is None else ([], 0)
            balances = await outcomes.fetch_balances(account_id)
            remarks = await outcomes.list_remarks(account_id, MAX_REMARKS)
            forgotten_at = await outcomes.find_forgotten(account_id)
        if account is None and kept is None and not balances:
            raise RefusalError(f"nobody opened {account_id}, and nothing was granted to it or used by it")
        if as_json:
            events = changes + sum(each.grants + each.uses for each in amounts)
            more = {} if account is not None else {**kept_fields(amounts), "kept_events": events}
            fields = fields_for_programs(
                account_id, known_fields(account, kept) | more, balances, remarks, forgotten_at
            )
            print_fields(fields, as_json=True)
            return
        known = describe_known(account or kept) | describe_kept(amounts, changes)
        fields = describe(account_id, known, balances, remarks)
        if forgotten_at is not None:
            fields["forgotten"] = f"addresses and names, at {say_time(forgotten_at)}"
        print_fields(fields, as_json=False)

    run_command(Settings, command)


def describe(
    account_id: str, known: dict[str, object], balances: list[BalanceNow], remarks: list[RemarkLine]
) -> dict[str, object]:
    """One field a line; what an account that nobody opened has not is left out."""
    from meter.effects import describe_balance

    opened = [balance for balance in balances if balance.account_state != "not_opened"]
    return {
        "account": account_id,
        **known,
        "balances": [describe_balance(balance) for balance in opened] or [NONE_YET if balances else "none"],
        "remarks": [describe_remark(remark) for remark in remarks] or ["none"],
    }


def fields_for_programs(
    account_id: str,
    known: dict[str, object],
    balances: list[BalanceNow],
    remarks: list[RemarkLine],
    forgotten_at: datetime | None,
) -> dict[str, object]:
    """What `describe` says, as values: amounts are exact decimal text, what there is none of is an empty list."""
    from meter.effects import balance_fields

    opened = [balance for balance in balances if balance.account_state != "not_opened"]
    return {
        "account": account_id,
        **known,
        "balances": [balance_fields(balance) for balance in opened],
        "remarks": [{**r._asdict(), "recorded_at": r.recorded_at.isoformat(timespec="seconds")} for r in remarks],
        "forgotten_at": forgotten_at and forgotten_at.isoformat(timespec="seconds"),
    }


def known_fields(account: AccountNow | None, kept: KeptAccount | None) -> dict[str, object]:
    """What `describe_known` says, as values."""
    if account is not None:
        return describe_known(account) | {"contacts": list(account.contacts)}
    names = ("plan", "display_name", "time_zone", "contacts")
    found = {name: getattr(kept, name, None) for name in names}
    return {"opened": None, "state": "not_opened"} | {
        f"kept_{'name' if name == 'display_name' else name}": value for name, value in found.items()
    }


def describe_known(account: AccountNow | KeptAccount | None) -> dict[str, object]:
    from meter.effects import AccountNow

    if isinstance(account, AccountNow):
        return {
            "opened": account.opened_at.isoformat(timespec="seconds"),
            "state": account.state,
            "plan": account.plan,
            "name": account.display_name,
            "time_zone": account.time_zone,
            "contacts": list(account.contacts) or ["none"],
        }
    if account is None:
        return {"opened": "no"}
    contacts = None if account.contacts is None else list(account.contacts) or ["none"]
    kept = {"plan": account.plan, "name": account.display_name, "time_zone": account.time_zone, "contacts": contacts}
    return {"opened": "no"} | {f"kept_{name}": value for name, value in kept.items() if value is not None}


def describe_remark(remark: RemarkLine) -> str:
    from meter.effects import describe_remark as describe_what
    from schemas.times import say_time

    recorded = say_time(remark.recorded_at)
    return f"{describe_what(remark.field, remark.reason)} (offset {remark.offset}, recorded {recorded})"
