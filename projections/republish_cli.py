"""`projections republish` on the command line."""

from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_notes, print_result
from meter.runtime.errors import RefusalError
from meter.runtime.process.cli import run_command
from schemas.figures import count_of
from schemas.times import say_time
from schemas.topics import BALANCES

if TYPE_CHECKING:
    from meter.runtime.postgres import Pool
    from projections.settings import ProjectionsSettings


def republish(
    new_topic: Annotated[
        bool, typer.Option("--new-topic", help="Take the present metering.balances for the one to publish to.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin again, also where an earlier one was interrupted.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Send the present state of every account once more.

    It goes to metering.balances, while the services run.
    For receivers that lost something: a topic that was lost or re-created, records that retention removed.
    It goes through the outbox, so `projections run` publishes it. Receivers drop what they have already; nobody is told
    anything twice. After an interruption the next call goes on where the last one was.

    \b
    Examples:
      projections republish
      projections republish --new-topic      # metering.balances was re-created
    """
    from meter.progress import show_progress
    from meter.runtime.postgres import opened_pool
    from projections.republish import Republication, count_accounts, count_republished
    from projections.settings import ProjectionsSettings

    async def command(settings: ProjectionsSettings) -> int:
        async with opened_pool(settings, "credit-projections-republish") as pool:
            await prepare(settings, pool, new_topic=new_topic, anew=anew)
            with show_progress("republish", await count_accounts(pool), "accounts") as advance:
                await Republication(pool, progress=advance, report=say).run()
            return await count_republished(pool)

    accounts = run_command(ProjectionsSettings, command)
    are, them = ("is", "it") if accounts == 1 else ("are", "them")
    sentence = f"{count_of(accounts, 'account')} {are} in the outbox; `projections run` publishes {them} in order"
    print_result({"accounts": accounts}, sentence, as_json=as_json)


async def prepare(settings: "ProjectionsSettings", pool: "Pool", *, new_topic: bool, anew: bool) -> None:
    """Begin, or go on. Raises RefusalError when the topic is another than the recorded one and nobody said so."""
    from projections.output_topic import OutputTopicStore, find_topic
    from projections.republish import begin, fetch_unfinished

    info = await find_topic(settings)
    recorded = (await OutputTopicStore(pool).fetch_topics()).get(BALANCES)
    differs = recorded is not None and recorded.topic_id not in ("", info.topic_id)
    if differs and not new_topic:
        raise RefusalError(
            f"topic {settings.topic(BALANCES)} was re-created: with --new-topic it is taken for the one to publish to"
        )
    unfinished = await fetch_unfinished(pool)
    if unfinished and not anew and not differs:
        say(f"going on with what was begun at {say_time(unfinished[0].begun_at)}")
    else:
        await begin(pool, info.topic_id)


def say(line: str) -> None:
    print_notes([line])
