"""`projections run` put together: the pool, the folds, the wake-ups, the relay of the outbox."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from meter.newest import NewestWatch
from meter.runtime.clock import SystemClock
from meter.runtime.kafka import Producer
from meter.runtime.looks import Looks
from meter.runtime.outbox import OutboxRelay
from meter.runtime.outbox_messages import messages_for
from meter.runtime.outbox_watch import OutboxWatch
from meter.runtime.postgres import Pool, check_set_up, is_on_citus, not_set_up, opened_pool
from meter.runtime.postgres.listen import Wakeups
from meter.runtime.process.health import Health
from meter.runtime.process.service import Build, Service
from meter.topics import RiskWarnings
from projections.lag import LagWatch, UnopenedWatch
from projections.output_topic import OutputTopicWatch
from projections.republish import RepublishLoop
from projections.runner import WORK, FoldRunner
from projections.set_aside import SetAside
from projections.settings import ProjectionsSettings
from projections.store import FoldStore, sql
from projections.store_usage import UsageStore
from projections.usage import WORK as USAGE_WORK
from projections.usage import UsageHelper, UsageRunner
from schemas.topics import BALANCES

USAGE_BESIDE = 4  # connections: of both tasks of usage, of the relay, and of what looks now and then
WORK_MEM = "64MB"  # else the groups of a large piece of the log go to disk


def build_projections(settings: ProjectionsSettings) -> Build:
    risks = RiskWarnings(settings, BALANCES)

    @asynccontextmanager
    async def build(health: Health) -> AsyncIterator[Sequence[Service]]:
        async with opened_pool(settings, "credit-projections", by_index=True, work_mem=WORK_MEM) as pool:
            await check_set_up(pool, sql("find_read_models"))
            await check_shards(pool)
            singly = await is_on_citus(pool)
            health.set_ready("postgres", True)
            health.metrics.watch_pool(pool)
            topic = OutputTopicWatch(settings, pool, SystemClock(), note_grown=health.metrics.note_grown)
            await topic.check()
            newest = NewestWatch(settings, pool, health)
            await newest.check()
            async with Producer(settings, client_id="credit-projections") as producer:
                health.set_ready("kafka", True)
                await risks.give()
                loops = make_loops(settings, pool, producer, health, singly=singly)
                yield [*loops, topic, newest, RepublishLoop(pool)]

    return build


def make_loops(
    settings: ProjectionsSettings, pool: Pool, producer: Producer, health: Health, *, singly: bool = False
) -> list[Service]:
    store = FoldStore(pool, most_events=settings.fold_events, traced=health.traces.on)
    stored = Wakeups(settings.postgres_dsn, "meter_events")
    published = Wakeups(settings.postgres_dsn, "projections_outbox")
    looks = Looks(settings.fold_poll_s, stored)
    relay = OutboxRelay(
        pool,
        producer,
        "projections",
        messages_for(BALANCES),
        health=health,
        topics=(BALANCES,),
        woken_by_every_commit=True,
        looks=Looks(1.0, published),
    )
    set_aside = SetAside(health)
    workers = [
        FoldRunner(
            store,
            health=health,
            set_aside=set_aside,
            published=relay.wake,
            most_events=settings.fold_events,
            # Further workers serve a backlog of several transactions. Without one they hardly look.
            pause_s=settings.fold_poll_s if number else settings.fold_pause_ms / 1000,
            looks=looks,
            number=number,
            singly=singly,
        )
        for number in range(min(settings.fold_workers, max(1, settings.postgres_pool_size - 3)))
    ]
    # The first worker takes everything while it fits into a transaction, and wakes the others while it does not: after
    # a wake-up for every batch they would find nothing to fold.
    stored.add(workers[0].wake)
    for worker in workers[1:]:
        workers[0].helped_by(worker)
    published.add(relay.wake)
    usage_store = UsageStore(pool, most_events=settings.usage_events)
    usage = UsageRunner(
        usage_store,
        health=health,
        wake=workers[0].folded,
        most_events=settings.usage_events,
        pause_s=settings.usage_pause_s,
        looks=looks,
    )
    # Balances must not wait for a connection because usage is late.
    helpers = [UsageHelper(usage)] if settings.postgres_pool_size >= len(workers) + USAGE_BESIDE else []
    watches = [LagWatch(store, health, WORK, set_aside), LagWatch(usage_store, health, USAGE_WORK)]
    return [
        *workers,
        usage,
        *helpers,
        stored,
        relay,
        published,
        *watches,
        UnopenedWatch(store, health),
        OutboxWatch(relay, health),
    ]


async def check_shards(pool: Pool) -> None:
    """`meter setup` also makes the shards: while there is none, it has not finished."""
    if not await FoldStore(pool, most_events=1).measure_lag():
        raise not_set_up()
