"""`meter reverse` and `meter revoke`: take back usage or credits, wait for the effect and print it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import fail, whole
from meter.runtime.process.exits import Exit
from meter.support_cli import (
    Account,
    EventId,
    JsonOutput,
    Wait,
    confirm_unopened,
    print_effect,
    run_verb,
    send_only,
)
from schemas.amounts import MICRO
from schemas.resources import RESOURCE_CODES, Resource

if TYPE_CHECKING:
    from meter.client import AccountsProducer
    from meter.effects import BalanceNow, UsageNow
    from meter.runtime.settings import Settings
    from meter.store.outcomes import Outcomes

Reason = Annotated[str, typer.Option(help="Why, for the history.")]
Yes = Annotated[bool, typer.Option("--yes", help="Take back from an account that nobody opened without a question.")]


def reverse(
    account_id: Account,
    usage_id: Annotated[str, typer.Argument(callback=whole, metavar="EVENT_ID", help="Id of the event of usage.")],
    reason: Reason,
    amount: Annotated[str | None, typer.Option(help="How many credits or whole runs of it are given back.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Give back all that is left of it.")] = False,
    source: Annotated[str | None, typer.Option(help="Source of the event, where several sources used the id.")] = None,
    event_id: EventId = None,
    yes: Yes = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Give back usage that should not have been counted.

    Prints what the account has then.
    Asks the database for the event, also with --no-wait: one that is not stored, or of which less is left, sends
    nothing and exits with 1. Asks before it reverses usage of an account that nobody opened; in a pipe it refuses
    that without --yes.

    \b
    Examples:
      meter reverse acc-1 019b76da-a800-79ab-aa7b-5bf55eb561a4 --all --reason bug
      meter reverse acc-1 request-17 --amount 0.5 --reason outage
    """
    from meter.effects import choose_usage, describe_amount, describe_now, describe_usage, format_plain
    from meter.sending import EFFECT_TIMEOUT_S, check_event, send_and_wait
    from meter.store.outcomes import open_outcomes
    from schemas.build import new_event_id

    if everything == (amount is not None):
        raise fail("say how much: either --amount or --all", Exit.USAGE)
    sent_id = event_id or new_event_id()

    async def command(settings: Settings) -> None:
        async with open_outcomes(settings) as outcomes:
            usage = choose_usage(account_id, usage_id, await outcomes.find_usage(account_id, usage_id, source))
            taken = format_plain(usage.left).replace(",", "") if amount is None else amount

            async def send(producer: AccountsProducer, id: str) -> str:
                return await producer.reversed(
                    account_id, resource=Resource(usage.resource), amount=taken, reason=reason, reverses=usage_id,
                    reverses_source=usage.source, event_id=id,
                )  # fmt: skip

            await check_event(settings, sent_id, send)
            check_left(usage, Decimal(taken))
            if not yes:
                await confirm_unopened(outcomes, account_id, "Reverse")
            if not wait:
                await send_only(settings, sent_id, send, as_json=as_json)
                return
            before = await fetch_balance(outcomes, account_id, usage.resource)
            effect = await send_and_wait(settings, outcomes, account_id, sent_id, send, EFFECT_TIMEOUT_S)
            balances = await fetch_balance(outcomes, account_id, usage.resource)
        done = f"reversed {describe_amount(Decimal(taken), usage.resource)} of {describe_usage(account_id, usage)}"
        lines = [f"{done}; {describe_now(balance, before)}" for balance in balances]
        print_effect(effect, account_id, balances, lines, as_json=as_json)

    run_verb(command)


def revoke(
    account_id: Account,
    resource: Annotated[Resource, typer.Argument(help="What is taken back.")],
    amount: Annotated[str, typer.Argument(help="Credits, at most six decimals, or whole runs.")],
    reason: Reason,
    reference: Annotated[str, typer.Option(help="Ticket, invoice or order it follows from.")],
    grant: Annotated[str | None, typer.Option(metavar="ID", help="Event id of the grant, where it is one.")] = None,
    event_id: EventId = None,
    yes: Yes = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Take back credits or runs that were granted.

    Prints what the account has then.
    At most what is left of the grant, or of all grants. Asks the database for it, also with --no-wait: more than that,
    or a grant that is not stored, sends nothing and exits with 1. Asks before it takes from an account that nobody
    opened; in a pipe it refuses that without --yes. What was used stays used, so an account may be overdrawn
    afterwards.

    \b
    Example:
      meter revoke acc-1 model_credits 100 --reason chargeback --reference T-17
    """
    from meter.effects import describe_amount, describe_now
    from meter.sending import EFFECT_TIMEOUT_S, check_event, check_stored, send_and_wait
    from meter.store.outcomes import open_outcomes
    from schemas.build import new_event_id

    sent_id = event_id or new_event_id()

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.revoked(
            account_id, resource=resource, amount=amount, reason=reason, reference=reference, revokes=grant, event_id=id
        )

    async def command(settings: Settings) -> None:
        await check_event(settings, sent_id, send)
        async with open_outcomes(settings) as outcomes:
            await check_stored(outcomes, settings, sent_id, send)
            if not yes:
                await confirm_unopened(outcomes, account_id, "Revoke")
            if not wait:
                await send_only(settings, sent_id, send, as_json=as_json)
                return
            before = await fetch_balance(outcomes, account_id, resource.value)
            effect = await send_and_wait(settings, outcomes, account_id, sent_id, send, EFFECT_TIMEOUT_S)
            balances = await fetch_balance(outcomes, account_id, resource.value)
        done = f"revoked {describe_amount(Decimal(amount), resource.value)} of {account_id}"
        lines = [f"{done}; {describe_now(balance, before)}" for balance in balances]
        print_effect(effect, account_id, balances, lines, as_json=as_json)

    run_verb(command)


async def fetch_balance(outcomes: Outcomes, account_id: str, resource: str) -> list[BalanceNow]:
    """That of one resource; none before its first event is folded."""
    return [balance for balance in await outcomes.fetch_balances(account_id) if balance.resource == resource]


def check_left(usage: UsageNow, amount: Decimal) -> None:
    """Raises RefusalError for more than is left, in the words in which the meter would reject it."""
    from meter.refused_corrections import describe_reversible

    if amount > usage.left:
        whole, left = int(usage.amount * MICRO), int(usage.left * MICRO)
        resource = RESOURCE_CODES[Resource(usage.resource)]
        raise RefusalError(f"reverses_too_much: {describe_reversible(whole, resource, left)}. Nothing is sent.")
