"""`meter forget`: forget the addresses and names of an account, and say what is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from meter.changes_cli import Yes
from meter.confirm import confirm
from meter.presentation import print_sentences
from meter.runtime.errors import RefusalError
from meter.support_cli import Account, EventId, JsonOutput, Wait, run_verb, send_only

if TYPE_CHECKING:
    from meter.client import AccountsProducer
    from meter.runtime.settings import Settings
    from meter.store.remains import Remains


def forget(
    account_id: Account,
    reason: Annotated[str, typer.Option(help="Why. It stays in the log: name nobody in it.")],
    event_id: EventId = None,
    yes: Yes = False,
    wait: Wait = True,
    as_json: JsonOutput = False,
) -> None:
    """Forget the addresses and names of an account, for good. Its usage and credits stay and still count.

    What opens them in the log is thrown away; read models, letters and refused records are blanked. Addresses and
    names that come later are not kept either. Kafka and backups hold what they have until they lose it.

    Asks first; in a pipe it refuses without --yes.

    \b
    Example:
      meter forget acc-1 --reason "request of 3 May"
    """
    from meter.runtime.process.interruption import say_when_interrupted
    from meter.sending import EFFECT_TIMEOUT_S, ask_until, check_event, send_and_wait
    from meter.store.outcomes import open_outcomes
    from meter.store.remains import fetch_left, fetch_remains, find_sharing, is_cleared
    from schemas.build import new_event_id

    sent_id = event_id or new_event_id()

    async def send(producer: AccountsProducer, id: str) -> str:
        return await producer.forgotten(account_id, reason=reason, event_id=id)

    def ask() -> None:
        if not yes:
            confirm(f"addresses and names of {account_id} cannot be brought back", "Forget them?")

    async def command(settings: Settings) -> None:
        await check_event(settings, sent_id, send)
        if not wait:
            ask()
            await send_only(settings, sent_id, send, as_json=as_json)
            return
        async with open_outcomes(settings) as outcomes:
            if (await fetch_left(outcomes, account_id)).forgotten:
                raise RefusalError(f"{account_id} was forgotten already. Nothing is sent.")
            known = await outcomes.fetch_account(account_id) or await outcomes.fetch_kept(account_id)
            if known is None:
                raise RefusalError(f"nothing is known of {account_id}: look at the id. Nothing is sent.")
            ask()
            sharing = await find_sharing(outcomes, account_id, known.contacts or ())
            effect = await send_and_wait(settings, outcomes, account_id, sent_id, send, EFFECT_TIMEOUT_S)

            say_when_interrupted(
                f", stored as event {sent_id}: the services go on with it, there is nothing to repeat."
            )
            await ask_until(lambda: is_cleared(outcomes, account_id), EFFECT_TIMEOUT_S)
            remains = await fetch_remains(outcomes, account_id)
        print_remains(account_id, effect.event_id, effect.position, remains, sharing, as_json=as_json)
        if not remains.cleared or remains.in_clear:
            raise typer.Exit(1)

    run_verb(command)


def print_remains(
    account_id: str, event_id: str, position: int, remains: Remains, sharing: list[str], *, as_json: bool
) -> None:
    from meter.store.remains import describe_sharing

    if as_json:
        shown = {"event_id": event_id, "position": position, "account": account_id, **remains._asdict()}
        print(json.dumps(shown | {"same_address": sharing}))
        return
    print_sentences([*remains.describe(account_id), *([describe_sharing(sharing)] if sharing else [])])
