"""`meter run` put together: the pool, the store, the consumer and the loop."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from meter.anchors import Anchors
from meter.backlog import UsageBacklog
from meter.forgetting import Forgetting
from meter.ingest import TOGETHER_EVENTS, WORK, Ingest
from meter.newest import NewestWatch
from meter.plan import AppendPlan
from meter.reroute import make_relay
from meter.runtime.clock import Clock, SystemClock
from meter.runtime.history_watch import HistoryWatch
from meter.runtime.kafka import History, Producer, ShardConsumer
from meter.runtime.kafka.tails import find_bare
from meter.runtime.lag_watch import LagWatch
from meter.runtime.outbox import OutboxRelay
from meter.runtime.outbox_watch import OutboxWatch
from meter.runtime.postgres import check_set_up, is_on_citus, load_sql, opened_pool
from meter.runtime.process.health import Health
from meter.runtime.process.service import Build, Service
from meter.runtime.shard_loop import ShardLoop
from meter.settings import MeterSettings
from meter.store.events import PostgresEventStore
from meter.store.port import Appended
from meter.store.topics import PostgresTopicStore
from meter.tail_watch import TailWatch
from meter.tails import Tails
from meter.topics import RecordedTopics, RiskWarnings
from schemas.topics import ACCOUNTS, ANCHORS, USAGE

GROUP = "meter"


def build_meter(settings: MeterSettings, clock: Clock | None = None) -> Build:
    clock = clock or SystemClock()
    risks = RiskWarnings(settings, USAGE, ACCOUNTS, ANCHORS)
    history = History()

    @asynccontextmanager
    async def build(health: Health) -> AsyncIterator[Sequence[Service]]:
        async with opened_pool(settings, "credit-meter", by_index=True) as pool:
            await check_set_up(pool, load_sql("meter", "find_store"))
            health.set_ready("postgres", True)
            health.metrics.watch_pool(pool)
            newest = NewestWatch(settings, pool, health)
            await newest.check()
            store = PostgresEventStore(pool)
            singly = await is_on_citus(pool)
            guard = RecordedTopics(
                PostgresTopicStore(pool), clock, settings.partitions, note_grown=health.metrics.note_grown
            )
            inputs = (USAGE, ACCOUNTS)
            consumer = ShardConsumer(
                settings, topics=inputs, group=GROUP, store=store, guard=guard, history=history, beyond=True,
                concurrency=concurrency_of(settings),
            )  # fmt: skip
            async with Producer(without_ids(settings), client_id="credit-meter") as producer, consumer:
                health.set_ready("kafka", True)
                await risks.give()
                health.watch(WORK, consumer.lag)
                health.metrics.shards.set_function(lambda: len(consumer.assigned))
                tune_collector()
                anchors = Anchors(pool, producer, lambda: consumer.assigned, pause_s=settings.anchor_s, health=health)
                forgetting = Forgetting(pool, producer, lambda: consumer.assigned, health)
                tails = Tails()
                relay = make_relay(pool, producer, health, settings.partitions, tails)
                watch, age = LagWatch(consumer, health), OutboxWatch(relay, health)
                past = HistoryWatch(history, store, inputs, lambda: consumer.assigned)
                backlog = UsageBacklog(consumer, pool, tails)
                tail_watch = TailWatch(tails, partial(find_bare, settings, USAGE), relay.wake.set)
                loop = make_loop(settings, consumer, store, clock, health, relay, backlog, singly=singly)
                yield [loop, anchors, forgetting, relay, watch, age, past, newest, tail_watch]
                await anchors.publish_last()

    return build


def make_loop(
    settings: MeterSettings,
    consumer: ShardConsumer,
    store: PostgresEventStore,
    clock: Clock,
    health: Health,
    relay: OutboxRelay,
    backlog: UsageBacklog,
    *,
    singly: bool = False,
) -> ShardLoop[AppendPlan, Appended]:
    ingest = Ingest(
        store,
        clock=clock,
        limits=settings.limits(),
        allowance=settings.allowance(),
        metrics=health.metrics,
        wake_relay=relay.wake.set,
        find_ends=backlog.find_ends,
        evidence_bytes=settings.evidence_bytes,
        traces=health.traces,
    )
    together = 0 if singly else TOGETHER_EVENTS
    return ShardLoop(consumer, ingest, together=together, concurrency=concurrency_of(settings), health=health)


def concurrency_of(settings: MeterSettings) -> int:
    """Transactions that append at the same time; a connection is left for everything else."""
    return min(settings.append_concurrency, settings.postgres_pool_size - 1)


def without_ids(settings: MeterSettings) -> MeterSettings:
    """Settings of a producer that has no id at the broker: producers of usage write to the same topic, may name the id
    of ours, and are believed. What arrives twice counts once, whoever repeats it."""
    return settings.model_copy(update={"kafka_idempotence": False})


def tune_collector() -> None:
    """Batches are thousands of small objects without cycles, gone together: with the usual thresholds the cycle
    collector walks them over and over (measured: a tenth of the CPU time of parsing and encoding).

    Once for each opening: what an opening before had frozen is looked at again, or it would stay for ever."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
