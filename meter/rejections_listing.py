"""What the commands of rejections share: the connection, their arguments, and how rejections are found and told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.times import say_time

if TYPE_CHECKING:
    from datetime import datetime

    from meter.replay_outcomes import Followed
    from meter.runtime.settings import Settings
    from meter.store.rejections import Dismissal, RejectionLine, Rejections, Replay

MAX_NUMBER = 2**63 - 1  # of Postgres
Numbers = Annotated[list[int], typer.Argument(min=1, max=MAX_NUMBER, help="Numbers of the rejections, from the list.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


@asynccontextmanager
async def open_rejections(settings: Settings) -> AsyncIterator[Rejections]:
    from meter.runtime.postgres import opened_pool
    from meter.store.rejections import Rejections

    async with opened_pool(settings, "credit-rejections") as pool:
        yield Rejections(pool)


async def find_lines(
    rejections: Rejections, account: str | None, *, limit: int, **filters: Any
) -> tuple[list[RejectionLine], datetime | None]:
    """What is listed, and how far back records without a key were looked at where that was not all the way."""
    lines = await rejections.list_rejections(account=account, limit=limit, **filters)
    if account is None:
        return lines, None
    more, looked_to = await rejections.list_without_key(account, limit=limit, **filters)
    return sorted([*lines, *more], key=lambda line: line.rejection_id, reverse=True)[:limit], looked_to


def describe_looked(looked_to: datetime) -> str:
    from meter.store.rejections import MOST_LOOKED_AT

    return (
        f"Of records without a key the newest {MOST_LOOKED_AT:,} were looked at, back to "
        f"{say_time(looked_to)}: older ones of the account are not listed. --reason and --topic "
        "look further back."
    )


async def follow_last_replays(rejections: Rejections, lines: Sequence[RejectionLine]) -> dict[int, Followed]:
    """What became of the newest replay of each, by the rejection's number; those that were never replayed are not
    in it."""
    replayed = [line.rejection_id for line in lines if line.replays]
    topics = {line.rejection_id: line.topic for line in lines}
    last = {replay.rejection_id: replay for replay in await rejections.list_replays(replayed)} if replayed else {}
    found: dict[int, Followed] = {}
    for topic in sorted({topics[number] for number in last}):
        replays = [replay for number, replay in last.items() if topics[number] == topic]
        found |= {each.replay.rejection_id: each for each in await follow_replays(rejections, topic, replays)}
    return found


async def follow_replays(rejections: Rejections, topic: str, replays: Sequence[Replay]) -> list[Followed]:
    """What became of replays of one topic, asked at once."""
    from meter.replay_outcomes import Followed

    places = [place for replay in replays for place in replay.landed or ()]
    outcomes = iter(await rejections.list_outcomes(topic, places) if places else ())
    return [
        Followed(replay, None if replay.landed is None else list(islice(outcomes, len(replay.landed))))
        for replay in replays
    ]


def describe_dismissal(dismissal: Dismissal) -> str:
    return f"{say_time(dismissal.dismissed_at)} by {dismissal.dismissed_by}: {dismissal.reason}"
