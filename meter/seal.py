"""`meter seal`: seal the addresses and names that versions before stored and published in clear.

Shard by shard, each in one transaction: what it stored in clear is sealed and its chain made anew, under a generation
that records the old head. Then metering.balances, whose old events hold addresses for ever, is deleted and made again,
and projections send the present state of every account to the new one. Stopped anywhere, the next call goes on: each
step looks at what is left to do. All services stand still meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from meter.recover import NOTIFIER, Place, check_stopped, look_outside
from meter.runtime.clock import Clock
from meter.runtime.errors import DependencyUnreachableError, RefusalError
from meter.runtime.fault_points import fault_point
from meter.runtime.kafka import TopicAdmin
from meter.runtime.kafka.groups import fetch_committed, set_committed
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.postgres import Pool, load_sql, write_transaction
from meter.settings import SetupSettings
from meter.setup import wanted_topics
from meter.store.rechain import Progress, Sealed, Wording, seal_shard
from schemas.topics import BALANCES

OLD_TYPE: Final = b'"account.changed.v1"'
GONE_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Done(NamedTuple):
    """`renewed`: metering.balances was made again; `published`: events with addresses that the old one held."""

    shards: list[Sealed]
    renewed: bool
    published: int


async def seal_all(
    settings: SetupSettings,
    pool: Pool,
    clock: Clock,
    *,
    by: str,
    reason: str,
    progress: Progress = lambda _events: None,
    say: Callable[[str], None] = lambda _line: None,
) -> Done:
    """Raises RefusalError, with nothing changed, while a service runs or has something left to do."""
    await check_stopped(settings, pool)
    places = [Place(*row) for row in await pool.fetch(load_sql("meter", "fetch_places"), BALANCES)]
    async with TopicAdmin(settings) as admin:
        await make_topic(admin, settings)  # gone where a call before was stopped
    await check_finished(settings, pool, places)
    outside = await look_outside(settings)
    if any(outside.find_proofs(place) for place in places):
        raise RefusalError(
            "the database is older than what is outside it: call `meter recover` first. Nothing was changed."
        )
    number = 1 + max([*outside.generations.values(), *(place.generation for place in places)], default=0)
    wording = Wording(clock.now(), by, reason)
    shards = [await seal_shard(pool, place.shard, number, wording, progress) for place in places]
    published = await count_old(settings)
    renewed = await renew_topic(settings, pool, places, published, say)
    return Done(shards, renewed, published)


async def check_finished(settings: SetupSettings, pool: Pool, places: list[Place]) -> None:
    """What the old topic holds must have been read: a line that was crossed is told from it."""
    [left] = await pool.fetch(load_sql("meter", "find_unread"))
    if left["is_split"]:
        raise RefusalError(
            "`meter split` has moved accounts of this log, and such a log cannot be sealed yet. Nothing was changed."
        )
    unread = 0
    async with TopicAdmin(settings) as admin:
        if not await is_replaced(admin, pool):
            ends = await admin.end_offsets(BALANCES)
            unread = sum(max(0, ends.get(p.shard, 0) - p.notifier) for p in places if p.notifier is not None)
    waiting = [
        f"{count:,} {what}"
        for count, what in (
            (left["not_folded"], "events are not folded"),
            (left["not_published"], "messages of projections are not published"),
            (unread, "records of metering.balances are not read by the notifier"),
        )
        if count
    ]
    if waiting:
        raise RefusalError(
            f"{', '.join(waiting)}: run `projections run` and `notifier run` until that is done, then stop them. "
            "Nothing was changed."
        )


async def count_old(settings: SetupSettings) -> int:
    """Events on metering.balances that hold addresses or names."""
    found = 0
    async for records in read_topic(settings, BALANCES):
        found += sum(OLD_TYPE in (record.value or b"") for record in records)
    return found


async def renew_topic(
    settings: SetupSettings, pool: Pool, places: list[Place], published: int, say: Callable[[str], None]
) -> bool:
    """Whether a new topic takes the place of the one before, which is deleted first where it holds addresses."""
    async with TopicAdmin(settings) as admin:
        if published:
            say(f"deleting {settings.topic(BALANCES)}: {published:,} of its events hold addresses or names")
            await admin.delete(BALANCES)
            await wait_until_gone(admin)
            await fault_point("seal_topic_deleted")
        await make_topic(admin, settings)
        if not await is_replaced(admin, pool):
            return False
        info = await admin.find(BALANCES)
    # Before the database: what Kafka has committed must never be ahead of it. Kafka may have dropped it with the topic.
    if committed := await fetch_committed(settings, NOTIFIER, (BALANCES,)):
        await set_committed(settings, NOTIFIER, dict.fromkeys(committed, 0))
    await fault_point("seal_topic_made")
    async with pool.acquire() as connection, write_transaction(connection):
        await connection.execute(load_sql("meter", "replace_balances_topic"), BALANCES, info.topic_id if info else "")
        await connection.execute(load_sql("meter", "request_republication"))
    return True


async def make_topic(admin: TopicAdmin, settings: SetupSettings) -> None:
    await admin.ensure([spec for spec in wanted_topics(settings) if spec.name == BALANCES], settings.replication_factor)


async def is_replaced(admin: TopicAdmin, pool: Pool) -> bool:
    """Whether the topic is another than the one that projections filled."""
    info = await admin.find(BALANCES)
    recorded = await pool.fetchval(load_sql("meter", "fetch_filled_topic"))
    return info is not None and recorded is not None and recorded != info.topic_id


async def wait_until_gone(admin: TopicAdmin) -> None:
    """Brokers delete a topic a moment after they say so."""
    for pause_s in GONE_PAUSES_S:
        if await admin.find(BALANCES) is None:
            return
        await asyncio.sleep(pause_s)
    raise DependencyUnreachableError(
        "metering.balances was deleted, and the broker still knows it: call `meter seal` again", dependency="kafka"
    )
