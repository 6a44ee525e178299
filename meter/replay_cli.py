"""`meter rejections replay`: send what was refused again, and say what became of it."""

from __future__ import annotations

import json
from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_sentences
from meter.rejections_listing import JsonOutput, Numbers, open_rejections
from meter.runtime.process.cli import run_command
from meter.runtime.process.exits import Exit

if TYPE_CHECKING:
    from meter.replay import Replayed
    from meter.settings import MeterSettings
    from meter.store.rejections import Rejections


def replay(
    rejection_ids: Numbers,
    by: Annotated[str | None, typer.Option(help="Who replays, for the record; default: the user's name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Send what would be rejected again, too.")] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait and say what became of each; without, say only that Kafka has it.")
    ] = True,
    as_json: JsonOutput = False,
) -> None:
    """Send the original bytes again, and say what became of them.

    They are a new record, which the meter judges again.
    This helps when the cause is gone: a wrong partition (the key decides now), a time that was ahead, a type that
    this version knows, usage that a reversal names and that is stored by now. What would be rejected again, for the
    contract or for what is stored, is refused with the reason, and nothing is sent. It is judged by the settings of
    this command: give it those that `meter run` has. An event that was stored in the meantime counts once, and one
    without a time counts as of its first record where that is not half as old as the topic keeps records, else now.
    Exits with 1 where one is rejected again, or not judged within 30 s.

    \b
    Examples:
      meter rejections replay 17 18
      meter rejections list --reason wrong_partition --pending |
        tail -n +2 | cut -f 1 | xargs meter rejections replay
    """
    from meter.replay import replay_rejections
    from meter.runtime.clock import SystemClock
    from meter.runtime.kafka import Producer
    from meter.settings import MeterSettings

    async def command(settings: MeterSettings) -> None:
        refused = False
        async with open_rejections(settings) as rejections, Producer(settings, client_id="credit-replay") as producer:
            async for replayed in replay_rejections(
                rejections, producer, rejection_ids, by or getuser(), SystemClock(), settings.limits(), force=force
            ):
                refused |= await tell_replayed(rejections, replayed, wait=wait, as_json=as_json)
        if refused:
            raise typer.Exit(Exit.FAILED)

    run_command(MeterSettings, command)


async def tell_replayed(rejections: Rejections, replayed: Replayed, *, wait: bool, as_json: bool) -> bool:
    """Print what became of it; whether it, or one of its records, was rejected again."""
    from meter.replay_outcomes import NO_OUTCOMES, describe_outcomes, outcome_fields
    from meter.sending import EFFECT_TIMEOUT_S, ask_until

    (rejection, landed), number, outcomes = replayed, replayed.rejection.rejection_id, None
    if wait and all(each.offset >= 0 for each in landed):
        outcomes = await ask_until(lambda: rejections.find_outcomes(rejection.topic, landed), EFFECT_TIMEOUT_S)
    if as_json:
        came_of_it = NO_OUTCOMES if outcomes is None else outcome_fields(outcomes)
        print(json.dumps({"replayed": number, "topic": rejection.topic, **came_of_it}), flush=True)
    elif outcomes is not None:
        print_sentences([describe_outcomes(number, outcomes)])
    elif wait:
        print_sentences([f"replayed {number}: on {rejection.topic}, and not judged yet: is `meter run` running?"])
    else:
        print_sentences([f"replayed {number}: on {rejection.topic}"])
    return wait and (outcomes is None or any(outcome.outcome == "rejected" for outcome in outcomes))
