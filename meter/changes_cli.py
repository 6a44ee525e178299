"""`meter accounts plan|rename|contacts|close|reopen`: send one change, wait for its effect and print it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from meter.confirm import confirm
from meter.presentation import print_sentences
from meter.runtime.errors import RefusalError
from meter.support_cli import Account, EventId, JsonOutput, Wait, confirm_plan, run_verb, send_only

if TYPE_CHECKING:
    from meter.changes import Change
    from meter.client import AccountsProducer
    from meter.effects import AccountNow, BalanceNow
    from meter.runtime.settings import Settings
    from meter.sending import Effect, Send

app = typer.Typer()  # its commands become some of `meter accounts`

Yes = Annotated[bool, typer.Option("--yes", help="Do it without a question.")]


@app.command()
def plan(
    account_id: Account,
    plan: Annotated[str, typer.Argument(help="Plan, in any case; free is the free plan.")],
    event_id: EventId = None,
    yes: Yes = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Give an account another plan. Nothing is granted by it.

    Asks before a plan that no account has, which may be a slip of the keyboard; in a pipe it refuses that without
    --yes. With --no-wait it asks nothing.

    \b
    Example:
      meter accounts plan acc-1 team
    """
    from meter.changes import Change

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.plan_changed(account_id, plan=plan, event_id=id)

    run_change(account_id, Change(plan=plan), send, event_id, yes=yes, wait=wait, as_json=as_json)


@app.command()
def rename(
    account_id: Account,
    name: Annotated[str | None, typer.Argument(help="Name for people.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA time zone of its days, like Europe/Berlin.")] = None,
    event_id: EventId = None,
    yes: Yes = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Give an account another name, another time zone, or both. What is not given stays.

    \b
    Examples:
      meter accounts rename acc-1 "Example Company"
      meter accounts rename acc-1 --time-zone Europe/Berlin
    """
    from meter.changes import Change

    if name is None and time_zone is None:
        raise typer.BadParameter("give a name, --time-zone, or both", param_hint="NAME")
    check_time_zone(time_zone)

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.renamed(account_id, display_name=name, time_zone=time_zone, event_id=id)

    change = Change(display_name=name, time_zone=time_zone)
    run_change(account_id, change, send, event_id, yes=yes, wait=wait, as_json=as_json)


@app.command()
def contacts(
    account_id: Account,
    addresses: Annotated[list[str] | None, typer.Argument(help="Email addresses: all that it is to have.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take all contacts away: nobody gets its emails.")] = False,
    event_id: EventId = None,
    yes: Yes = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Say who gets the emails of an account: these and nobody else.

    \b
    Examples:
      meter accounts contacts acc-1 owner@example.com billing@example.com
      meter accounts contacts acc-1 --none
    """
    from meter.changes import Change

    listed = addresses or []
    if bool(listed) == none:
        raise typer.BadParameter("give all addresses that it is to have, or --none", param_hint="ADDRESSES")

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.contacts_changed(account_id, contacts=listed, event_id=id)

    run_change(account_id, Change(contacts=listed), send, event_id, yes=yes, wait=wait, as_json=as_json)


@app.command()
def close(
    account_id: Account, event_id: EventId = None, yes: Yes = False, wait: Wait = True, as_json: JsonOutput = False
) -> None:
    """Close an account: nothing is allowed, and nobody gets emails. What it uses still counts.

    Asks first; in a pipe it refuses without --yes.

    \b
    Example:
      meter accounts close acc-1
    """
    from meter.changes import Change

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.closed(account_id, event_id=id)

    run_change(account_id, Change(state="closed"), send, event_id, yes=yes, wait=wait, as_json=as_json)


@app.command()
def reopen(
    account_id: Account, event_id: EventId = None, yes: Yes = False, wait: Wait = True, as_json: JsonOutput = False
) -> None:
    """Open a closed account again, with what it had. Nothing is granted by it.

    There is nothing that it asks; --yes is taken as by the other changes, so that a script need not tell them apart.

    \b
    Example:
      meter accounts reopen acc-1
    """
    from meter.changes import Change

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.reopened(account_id, event_id=id)

    run_change(account_id, Change(state="open"), send, event_id, yes=yes, wait=wait, as_json=as_json)


def check_time_zone(name: str | None) -> None:
    """An event with such a name is taken without it; whoever types one can be told that there is none such."""
    from schemas.zones import find_zone

    if name is not None and find_zone(name) is None:
        raise typer.BadParameter("there is no such time zone: write one like Europe/Berlin", param_hint="--time-zone")


def run_change(
    account_id: str, change: Change, send: Send, event_id: str | None, *, yes: bool, wait: bool, as_json: bool
) -> None:
    """Exit 1 with a sentence where the change has no effect; then nothing is sent."""
    from meter.changes import describe_forgotten, find_refusal
    from meter.sending import EFFECT_TIMEOUT_S, check_event, send_and_wait
    from meter.store.outcomes import open_outcomes
    from schemas.build import new_event_id

    sent_id = event_id or new_event_id()

    async def command(settings: Settings) -> None:
        await check_event(settings, sent_id, send)
        if not wait:
            if not yes:
                confirm_closing(account_id, change)
            await send_only(settings, sent_id, send, as_json=as_json)
            return
        async with open_outcomes(settings) as outcomes:
            before = await outcomes.fetch_account(account_id)
            if names_people(change) and await outcomes.find_forgotten(account_id) is not None:
                raise RefusalError(describe_forgotten(account_id))
            if refusal := find_refusal(account_id, change, before):
                raise RefusalError(refusal)
            if not yes:
                confirm_change(account_id, change, before)
                if change.plan is not None:
                    await confirm_plan(outcomes, change.plan, "Give it nevertheless?")
            effect = await send_and_wait(settings, outcomes, account_id, sent_id, send, EFFECT_TIMEOUT_S)
            account = await outcomes.fetch_account(account_id)
            balances = await outcomes.fetch_balances(account_id) if change.state else []
        check_effect(account_id, change, before, account, effect)
        print_change(effect, account_id, change, account, balances, as_json=as_json)

    run_verb(command)


def names_people(change: Change) -> bool:
    return bool(change.contacts) or change.display_name is not None


def confirm_change(account_id: str, change: Change, account: AccountNow | None) -> None:
    if account is None:
        confirm(f"nobody opened {account_id}", "Keep the change until somebody does?")
    confirm_closing(account_id, change)


def confirm_closing(account_id: str, change: Change) -> None:
    if change.state == "closed":
        confirm(f"{account_id} will be allowed nothing, and nobody will get its emails", "Close it?")


def check_effect(
    account_id: str, change: Change, before: AccountNow | None, account: AccountNow | None, effect: Effect
) -> None:
    """Raises RefusalError when another event came between: before this one, which then had no effect, or after it."""
    from meter.changes import find_no_effect

    if reason := find_no_effect(effect.remarks):
        place = f"It is stored at position {effect.position}, and changed nothing."
        raise RefusalError(f"{account_id}: the event {reason}. {place}")
    gone = account is None and before is not None
    if gone or (account is not None and not change.is_in(account)):
        raise RefusalError(f"stored at position {effect.position}; {account_id} was changed again since: look at it")


def print_change(
    effect: Effect, account_id: str, change: Change, account: AccountNow | None, balances: list[BalanceNow],
    *, as_json: bool,
) -> None:  # fmt: skip
    from meter.changes import describe_change
    from meter.effects import describe_now

    if not as_json:
        print_sentences([describe_change(account_id, change, account), *map(describe_now, balances)])
        return
    shown: dict[str, object] = {"event_id": effect.event_id, "position": effect.position, "account": account_id}
    shown["state"] = "not_opened" if account is None else account.state
    if account is not None:
        shown |= {"plan": account.plan, "name": account.display_name, "time_zone": account.time_zone}
        shown["contacts"] = list(account.contacts)
    print(json.dumps(shown))
