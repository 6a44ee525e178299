"""Does the broker still have what the database wants next? Decides between going on, waiting and refusing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from meter.runtime.errors import TopicIdentityError
from meter.runtime.settings import Settings

log = structlog.get_logger(component="positions")

# A new leader may know a lower end offset for a moment; a truncated or re-created topic stays short.
SETTLE_PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0)


class Range(NamedTuple):
    """Of one partition: the stored next offset (None: never set up) and what the broker holds, [begin, end)."""

    topic: str
    shard: int
    stored: int | None
    begin: int
    end: int


def find_missing(ranges: Sequence[Range]) -> list[Range]:
    return [item for item in ranges if item.stored is None]


def find_beyond(ranges: Sequence[Range]) -> list[Range]:
    return [item for item in ranges if item.stored is not None and item.stored > item.end]


def find_lost(ranges: Sequence[Range]) -> list[Range]:
    return [item for item in ranges if item.stored is not None and item.stored < item.begin]


async def check_ranges(
    ranges: list[Range], fetch_again: Callable[[], Awaitable[list[Range]]], settings: Settings
) -> bool:
    """True when all can be read on. Raises TopicIdentityError, with what to do, when a person must decide.

    `fetch_again` is the slower, surer look; it is asked only when the first one gives cause for alarm.
    """
    if missing := find_missing(ranges):
        raise TopicIdentityError(f"no stored offset for {name_all(missing)}: run `meter setup`")
    for pause_s in SETTLE_PAUSES_S:
        if not find_beyond(ranges):
            break
        await asyncio.sleep(pause_s)
        ranges = await fetch_again()
    if beyond := find_beyond(ranges):
        raise TopicIdentityError(explain_beyond(beyond))
    if lost := find_lost(ranges):
        if not settings.accept_lost_records:
            raise TopicIdentityError(explain_lost(lost))
        for item in lost:
            log.warning("records_lost", topic=item.topic, shard=item.shard, offset=item.stored, found=item.begin)
    return True


def explain_beyond(ranges: Sequence[Range]) -> str:
    details = "; ".join(
        f"{item.topic}[{item.shard}] ends at {item.end}, stored offset is {item.stored}" for item in ranges
    )
    return (
        f"the topic is shorter than what was already read: {details}. It was re-created or lost records (unclean "
        "leader election, restored backup). Nothing was written. Bring the original topic back, or give the new topic "
        "a name of its own (METERING_TOPIC_PREFIX) with a new event store."
    )


def explain_lost(ranges: Sequence[Range]) -> str:
    details = "; ".join(
        f"{item.topic}[{item.shard}] starts at {item.begin}, next wanted is {item.stored}" for item in ranges
    )
    return (
        f"retention removed records before they were read: {details}. Nothing was written. Restore the records, or "
        "start once with METERING_ACCEPT_LOST_RECORDS=true to go on and have the gap recorded."
    )


def name_all(ranges: Sequence[Range]) -> str:
    return ", ".join(f"{item.topic}[{item.shard}]" for item in ranges)
