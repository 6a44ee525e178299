"""`meter open` and `meter grant`: send an event, wait for its effect and print it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

import typer

from meter.confirm import confirm
from meter.presentation import printable
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import fail, run_command, whole
from meter.runtime.process.exits import Exit
from meter.runtime.process.terminal import fit
from schemas.resources import Resource

if TYPE_CHECKING:
    from meter.client import AccountsProducer
    from meter.effects import BalanceNow
    from meter.runtime.settings import Settings
    from meter.sending import Effect, Send
    from meter.store.outcomes import Outcomes

    Command = Callable[[Settings], Coroutine[None, None, None]]

FREE_PLAN: Final = "free"
Account = Annotated[str, typer.Argument(callback=whole, help="Account id: 1 to 128 of A-Z a-z 0-9 . _ : @ -")]
EventId = Annotated[
    str | None,
    typer.Option(help="Id of the event. One that the account has is refused, so a repeat never counts twice."),
]
Wait = Annotated[
    bool, typer.Option(help="Wait for the effect and print it; without, print the event's id once Kafka has it.")
]
JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def open_account(
    account_id: Account,
    plan: Annotated[str, typer.Option(help="Plan, in any case; free is the free plan.")] = FREE_PLAN,
    contact: Annotated[
        list[str] | None, typer.Option(help="Email address that gets the notices; may be repeated.")
    ] = None,
    display_name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    event_id: EventId = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Open it on a plan that no account has without a question.")
    ] = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Open an account with the free allowance; print what it has.

    An account that is open already keeps what it has: the command says what differs and exits with 1. Plan, name and
    contacts that it was given before it was opened count: what of the opening does not is said. Asks before a plan
    other than free that no account has, which may be a slip of the keyboard; in a pipe it refuses that without
    --yes. With --no-wait it asks nothing.

    \b
    Example:
      meter open acc-1 --plan free --contact owner@example.com
    """
    from meter.changes import describe_forgotten
    from meter.effects import describe_differences, describe_opening, describe_remark, find_differences
    from meter.sending import EFFECT_TIMEOUT_S, check_event, send_and_wait
    from meter.store.outcomes import open_outcomes
    from schemas.build import new_event_id

    contacts = contact or []
    sent_id = event_id or new_event_id()

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.opened(account_id, plan=plan, contacts=contacts, display_name=display_name, event_id=id)

    async def command(settings: Settings) -> None:
        await check_event(settings, sent_id, send)
        if not wait:
            await send_only(settings, sent_id, send, as_json=as_json)
            return
        async with open_outcomes(settings) as outcomes:
            names_people = bool(contacts) or display_name is not None
            if names_people and await outcomes.find_forgotten(account_id) is not None:
                raise RefusalError(describe_forgotten(account_id))
            if (there := await outcomes.fetch_account(account_id)) is not None:
                differences = find_differences(there, plan=plan, contacts=contacts, display_name=display_name)
                raise RefusalError(describe_differences(account_id, there, differences))
            if not yes and plan.lower() != FREE_PLAN:
                await confirm_plan(outcomes, plan, "Open it nevertheless?")
            effect = await send_and_wait(settings, outcomes, account_id, sent_id, send, EFFECT_TIMEOUT_S)
            account = await outcomes.fetch_account(account_id)
            balances = await outcomes.fetch_balances(account_id)
        if account is None:  # forgotten or rebuilt in the same moment
            raise RefusalError(f"{account_id} was opened at position {effect.position}, and is not there any more")
        if effect.opening != effect.position:  # somebody else opened it in the same moment
            differences = find_differences(account, plan=plan, contacts=contacts, display_name=display_name)
            came = f"this opening came after that, at position {effect.position}, and changed nothing"
            raise RefusalError(describe_differences(account_id, account, differences, came))
        remarks = [describe_remark(*remark) for remark in effect.remarks]
        lines = [*describe_opening(account_id, account, balances), *remarks]
        print_effect(effect, account_id, balances, lines, as_json=as_json)

    run_verb(command)


def grant(
    account_id: Account,
    resource: Annotated[Resource, typer.Argument(help="What is granted.")],
    amount: Annotated[str, typer.Argument(help="Credits, at most six decimals, or whole runs.")],
    reason: Annotated[str, typer.Option(help="Why, for the history.")],
    reference: Annotated[str, typer.Option(help="Ticket, invoice or order it follows from.")],
    event_id: EventId = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Grant to an account that nobody opened without a question.")
    ] = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Add credits or runs to an account, and print what it has then.

    Asks before it grants to an account that nobody opened; in a pipe it refuses that without --yes. With --no-wait it
    asks nothing and needs no database.

    \b
    Example:
      meter grant acc-1 model_credits 100 --reason top_up --reference invoice-2041
    """
    from meter.effects import describe_amount, describe_now
    from meter.sending import EFFECT_TIMEOUT_S, check_event, send_and_wait
    from meter.store.outcomes import open_outcomes
    from schemas.build import new_event_id

    sent_id = event_id or new_event_id()

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.granted(
            account_id, resource=resource, amount=amount, reason=reason, reference=reference, event_id=id
        )

    async def command(settings: Settings) -> None:
        await check_event(settings, sent_id, send)
        if not wait:
            await send_only(settings, sent_id, send, as_json=as_json)
            return
        async with open_outcomes(settings) as outcomes:
            if not yes:
                await confirm_unopened(outcomes, account_id)
            before = await outcomes.fetch_balances(account_id)
            effect = await send_and_wait(settings, outcomes, account_id, sent_id, send, EFFECT_TIMEOUT_S)
            balances = [b for b in await outcomes.fetch_balances(account_id) if b.resource == resource.value]
        granted = f"granted {describe_amount(Decimal(amount), resource.value)} to {account_id}"
        lines = [f"{granted}; {describe_now(balance, before)}" for balance in balances]
        print_effect(effect, account_id, balances, lines, as_json=as_json)

    run_verb(command)


async def confirm_unopened(outcomes: Outcomes, account_id: str, verb: str = "Grant") -> None:
    """Ask whether an account that nobody opened is meant. Raises RefusalError for no, and where nobody can be asked."""
    if await outcomes.fetch_account(account_id) is not None:
        return
    confirm(f"nobody opened {account_id}", f"{verb} nevertheless?")


async def confirm_plan(outcomes: Outcomes, plan: str, question: str) -> None:
    """Ask whether a plan that no account has is meant. Raises RefusalError for no, and where nobody can be asked."""
    from meter.changes import SHOWN_PLANS, doubt_plan

    if (doubt := doubt_plan(plan, *await outcomes.find_plans(plan.lower(), SHOWN_PLANS))) is not None:
        confirm(doubt, question)


async def send_only(settings: Settings, event_id: str, send: Send, *, as_json: bool) -> None:
    from meter.sending import send_event

    await send_event(settings, event_id, send)
    print(json.dumps({"event_id": event_id}) if as_json else event_id)


def print_effect(
    effect: Effect, account_id: str, balances: list[BalanceNow], lines: list[str], *, as_json: bool
) -> None:
    """Sentences for people, or one object with the amounts as exact decimal text."""
    if not as_json:
        print(fit("\n".join(map(printable, lines)), sys.stdout))
        return
    from meter.effects import balance_fields

    amounts = [balance_fields(balance) for balance in balances]
    shown = {"event_id": effect.event_id, "position": effect.position, "account": account_id, "balances": amounts}
    print(json.dumps(shown | {"remarks": [remark._asdict() for remark in effect.remarks]}))


def run_verb(command: Command) -> None:
    """`run_command`; what the contract refuses is a fault of the arguments."""
    from meter.client import InvalidEventError
    from meter.runtime.settings import Settings

    try:
        run_command(Settings, command)
    except InvalidEventError as error:
        from meter.typed import describe_fault

        raise fail(describe_fault(error, list_options()), Exit.USAGE) from None


def list_options() -> list[str]:
    """Of the verb that runs."""
    from typer._click.globals import get_current_context

    return [name for parameter in get_current_context().command.params for name in parameter.opts]
