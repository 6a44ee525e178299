"""`notifier run` put together: the pool, the stores, the consumer, the outbox and the mailer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from meter.runtime.clock import Clock, SystemClock
from meter.runtime.history_watch import HistoryWatch
from meter.runtime.kafka import History, Producer, ShardConsumer
from meter.runtime.lag_watch import LagWatch
from meter.runtime.outbox import OutboxRelay
from meter.runtime.outbox_messages import messages_for
from meter.runtime.outbox_watch import OutboxWatch
from meter.runtime.postgres import check_set_up, is_on_citus, load_sql, opened_pool
from meter.runtime.process.health import Health
from meter.runtime.process.service import Build, Service
from meter.runtime.shard_loop import ShardLoop
from meter.topics import GROWN_OUTPUT, GrowthWatch, RecordedTopics, RiskWarnings
from notifier.ends import KafkaEnds
from notifier.mail.mailer import Mailer
from notifier.mail.session import SmtpServer
from notifier.mail.standing import SMTP
from notifier.mail.tracing import LetterTraces
from notifier.model import NotifyPlan, Saved
from notifier.notify import TOGETHER_CHANGES, WORK, Notify
from notifier.old_letters import OldLetters
from notifier.recall import check_told, recall
from notifier.render import Renderer
from notifier.retries import RetryLoop
from notifier.settings import NotifierSettings
from notifier.store.emails import PostgresMailQueue
from notifier.store.notices import PostgresNoticeStore
from notifier.store.thresholds import record_thresholds
from notifier.store.topic import REMEDIES, REMEDY, NotifierTopicStore
from notifier.store.traces import PostgresLineTraces
from schemas.topics import BALANCES, NOTIFICATIONS

log = structlog.get_logger(component="notifier")

GROUP = "notifier"


def build_notifier(settings: NotifierSettings, clock: Clock | None = None) -> Build:
    clock = clock or SystemClock()
    renderer = Renderer(settings.sender, settings.templates_dir)
    renderer.check(clock.now())
    server = SmtpServer.of(settings)
    risks = RiskWarnings(settings, NOTIFICATIONS)
    history = History()

    @asynccontextmanager
    async def build(health: Health) -> AsyncIterator[Sequence[Service]]:
        async with opened_pool(settings, "credit-notifier", by_index=True) as pool:
            await check_set_up(pool, load_sql("notifier", "find_cursors"))
            health.set_ready("postgres", True)
            health.metrics.watch_pool(pool)
            await recall(settings, pool)
            await check_told(settings, pool)
            if shards := await record_thresholds(pool, settings.thresholds):
                log.info(
                    "thresholds_recorded",
                    shards=shards,
                    banner=settings.thresholds.banner,
                    email=settings.thresholds.email,
                )
            health.set_ready(SMTP, True)  # until an email says otherwise: none may be due for weeks
            store = PostgresNoticeStore(pool, settings.mail_pause_s)
            singly = await is_on_citus(pool)
            guard = RecordedTopics(
                NotifierTopicStore(pool), clock, settings.partitions, REMEDY, grown=GROWN_OUTPUT,
                note_grown=health.metrics.note_grown,
            )  # fmt: skip
            consumer = ShardConsumer(
                settings, topics=(BALANCES,), group=GROUP, store=store, guard=guard, remedies=REMEDIES,
                history=history, concurrency=concurrency_of(settings),
            )  # fmt: skip
            producer = Producer(settings, client_id="credit-notifier")
            async with producer, consumer:
                health.set_ready("kafka", True)
                await risks.give()
                health.watch(WORK, consumer.lag)
                health.metrics.shards.set_function(lambda: len(consumer.assigned))
                relay = OutboxRelay(
                    pool, producer, "notifier", messages_for(NOTIFICATIONS), health=health, topics=(NOTIFICATIONS,),
                )  # fmt: skip
                queue = PostgresMailQueue(pool, settings.mail_pause_s)
                ends = KafkaEnds(lambda: consumer.fetch_ends(BALANCES))
                traces = LetterTraces(PostgresLineTraces(pool), health.traces, clock) if health.traces.on else None
                mailer = Mailer(queue, server, settings, clock, health, ends=ends, renderer=renderer, traces=traces)
                mailer.recorded = relay.wake
                retries = RetryLoop(pool, clock, (mailer.wake, relay.wake))
                loop = make_loop(settings, consumer, store, renderer, clock, health, relay, mailer, singly=singly)
                old = OldLetters(pool, settings.mail_keep_days, shards=range(settings.partitions) if singly else ())
                past = HistoryWatch(history, store, (BALANCES,), lambda: consumer.assigned)
                grown = GrowthWatch(settings, NOTIFICATIONS, health.metrics.note_grown)
                watches: list[Service] = [LagWatch(consumer, health), OutboxWatch(relay, health), past, grown]
                yield [loop, relay, mailer, retries, old, *watches]

    return build


def make_loop(
    settings: NotifierSettings,
    consumer: ShardConsumer,
    store: PostgresNoticeStore,
    renderer: Renderer,
    clock: Clock,
    health: Health,
    relay: OutboxRelay,
    mailer: Mailer,
    *,
    singly: bool = False,
) -> ShardLoop[NotifyPlan, Saved]:
    def wake(plan: NotifyPlan, saved: Saved) -> None:
        if plan.events or any(saved):
            relay.wake.set()
        if saved.queued:
            mailer.wake.set()

    notify = Notify(
        store,
        thresholds=settings.thresholds,
        renderer=renderer,
        clock=clock,
        metrics=health.metrics,
        on_saved=wake,
        traces=health.traces,
    )
    together = 0 if singly else TOGETHER_CHANGES
    return ShardLoop(consumer, notify, together=together, concurrency=concurrency_of(settings), health=health)


def concurrency_of(settings: NotifierSettings) -> int:
    """Transactions that save notices at the same time; the mailers and the relay need connections too."""
    return max(1, settings.postgres_pool_size // 2)
