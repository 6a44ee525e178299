"""Does the broker still have what the database wants next? Decides between going on, waiting and refusing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from meter.runtime.errors import TopicIdentityError
from meter.runtime.log import get_logger
from meter.runtime.settings import Settings

log = get_logger("offset_ranges")

# A new leader may report a lower end offset for a moment; a truncated or re-created topic stays short.
SETTLE_PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0)


class OffsetRange(NamedTuple):
    """Of one partition: the stored next offset (None: never set up) and what the broker holds, [begin, end)."""

    topic: str
    shard: int
    stored: int | None
    begin: int
    end: int


class Remedies(NamedTuple):
    """What people can do about a topic that is shorter than what was read, and about records that are gone."""

    beyond: str
    lost: str


OF_INPUTS: Final = Remedies(
    beyond="Bring the original topic back, or give the new topic a name of its own (METERING_TOPIC_PREFIX) with a new "
    "event store.",
    lost="Restore the records, or start once with METERING_ACCEPT_LOST_RECORDS=true to go on and have the gap "
    "recorded.",
)


def find_missing(ranges: Sequence[OffsetRange]) -> list[OffsetRange]:
    """Partitions without a stored offset."""
    return [item for item in ranges if item.stored is None]


def find_beyond(ranges: Sequence[OffsetRange]) -> list[OffsetRange]:
    """Partitions whose stored offset is above the broker's end."""
    return [item for item in ranges if item.stored is not None and item.stored > item.end]


def find_lost(ranges: Sequence[OffsetRange]) -> list[OffsetRange]:
    """Partitions whose next records the broker no longer has."""
    return [item for item in ranges if item.stored is not None and item.stored < item.begin]


async def check_ranges(
    ranges: list[OffsetRange],
    fetch_again: Callable[[], Awaitable[list[OffsetRange]]],
    settings: Settings,
    remedies: Remedies = OF_INPUTS,
) -> bool:
    """True when reading can go on in all partitions.

    Raises TopicIdentityError, which says what to do, when a person must decide. `fetch_again` reads the ranges in a
    slower and exact way; it is called only when a stored offset is above the end.
    """
    if missing := find_missing(ranges):
        raise TopicIdentityError(f"no stored offset for {name_all(missing)}: run `meter setup`")
    for pause_s in SETTLE_PAUSES_S:
        if not find_beyond(ranges):
            break
        await asyncio.sleep(pause_s)
        ranges = await fetch_again()
    if beyond := find_beyond(ranges):
        raise TopicIdentityError(explain_beyond(beyond, remedies))
    if lost := find_lost(ranges):
        if not settings.accept_lost_records:
            raise TopicIdentityError(explain_lost(lost, remedies))
        for item in lost:
            log.warning("records_lost", topic=item.topic, shard=item.shard, offset=item.stored, found=item.begin)
    return True


def explain_beyond(ranges: Sequence[OffsetRange], remedies: Remedies) -> str:
    details = "; ".join(
        f"{item.topic}[{item.shard}] ends at {item.end}, stored offset is {item.stored}" for item in ranges
    )
    return (
        f"the topic is shorter than what was already read: {details}. It was re-created or lost records (unclean "
        f"leader election, restored backup). Nothing was written. {remedies.beyond}"
    )


def explain_lost(ranges: Sequence[OffsetRange], remedies: Remedies) -> str:
    details = "; ".join(
        f"{item.topic}[{item.shard}] starts at {item.begin}, next wanted is {item.stored}" for item in ranges
    )
    return f"retention removed records before they were read: {details}. Nothing was written. {remedies.lost}"


def name_all(ranges: Sequence[OffsetRange]) -> str:
    return ", ".join(f"{item.topic}[{item.shard}]" for item in ranges)
