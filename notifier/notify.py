"""The loop that reads balances: receive → plan → transact → acknowledge → log, shards side by side."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from meter.runtime.clock import Clock
from meter.runtime.errors import OwnershipLostError
from meter.runtime.health import Health
from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.points import point
from meter.runtime.service import explain, is_transient, name_dependency
from notifier.decide import Channel, Outcome, Thresholds
from notifier.model import NotifyPlan, Unreadable
from notifier.plan import Change, plan_notices
from notifier.records import read_records
from notifier.render import Renderer
from notifier.store.port import NoticeStore
from schemas.topics import BALANCES

log = structlog.get_logger(component="notify")

WORK = "notify"


class NotifyLoop:
    """One batch of a shard at a time; the failure of one shard touches no other. `on_saved` wakes what follows."""

    name = "notify"

    def __init__(
        self,
        consumer: ShardConsumer,
        store: NoticeStore,
        *,
        thresholds: Thresholds,
        renderer: Renderer,
        clock: Clock,
        health: Health,
        on_saved: Callable[[NotifyPlan], None],
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._thresholds = thresholds
        self._renderer = renderer
        self._clock = clock
        self._health = health
        self._on_saved = on_saved

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. A bug in one batch ends the loop, unacknowledged, after the others are stored."""
        while not stop.is_set():
            batches = await self._consumer.receive()
            endings = await asyncio.gather(*map(self._process, batches), return_exceptions=True)
            for ending in endings:
                if ending is not None:
                    raise ending

    async def _process(self, batch: Batch) -> None:
        await point("after_fetch")
        started = time.monotonic()
        try:
            plan = await self._plan(batch)
            await self._store.save(plan)
        except Exception as error:
            if not is_transient(error):
                raise
            await self._give_back(batch, error)
            return
        self._consumer.advance(batch)
        await self._consumer.acknowledge([batch])
        self._on_saved(plan)
        self._note(batch, plan, time.monotonic() - started)

    async def _plan(self, batch: Batch) -> NotifyPlan:
        """In a thread: rendering hundreds of emails would hold up the heartbeats of the consumer."""
        return await plan_batch(
            batch, self._store, thresholds=self._thresholds, renderer=self._renderer, clock=self._clock
        )

    async def _give_back(self, batch: Batch, error: Exception) -> None:
        """Nothing was stored, or nobody knows (a connection lost during COMMIT): ask the stored offset again."""
        if isinstance(error, OwnershipLostError):
            log.warning("ownership_lost", shard=batch.shard, detail=str(error))
        else:
            log.warning("save_failed", shard=batch.shard, dependency=name_dependency(error), detail=explain(error))
        await self._consumer.rewind([batch.shard])

    def _note(self, batch: Batch, plan: NotifyPlan, seconds: float) -> None:
        self._health.mark_progress(WORK)
        metrics = self._health.metrics
        metrics.step_seconds.labels("notify").observe(seconds)
        metrics.records.labels("read").inc(batch.size)
        if plan.emails:
            metrics.emails.labels("queued").inc(len(plan.emails))
        if plan.unreadable:
            metrics.records.labels("rejected").inc(len(plan.unreadable))
            log.error("records_unreadable", shard=plan.shard, reason=sorted({bad.reason for bad in plan.unreadable}))
        told = log.info if plan.notices else log.debug
        told("changes_noticed", shard=plan.shard, changes=batch.size, emails=len(plan.emails), **count(plan))


async def plan_batch(
    batch: Batch, store: NoticeStore, *, thresholds: Thresholds, renderer: Renderer, clock: Clock
) -> NotifyPlan:
    changes = await asyncio.to_thread(read_records, batch.records.get(BALANCES, []))
    known = await store.fetch_known(account_ids(changes))
    return await asyncio.to_thread(
        plan_notices,
        changes,
        known,
        thresholds,
        renderer,
        topic=BALANCES,
        shard=batch.shard,
        start=batch.start[BALANCES],
        end=batch.end[BALANCES],
        at=clock.now(),
    )


def account_ids(changes: Sequence[Change | Unreadable]) -> set[str]:
    return {change.account_id for change in changes if not isinstance(change, Unreadable)}


def count(plan: NotifyPlan) -> dict[str, int]:
    delivered = [row.notice for row in plan.notices if row.notice.outcome is Outcome.DELIVERED]
    return {
        "notices": len(plan.notices),
        "banners": sum(notice.channel is Channel.BANNER for notice in delivered),
        "no_contact": sum(row.notice.outcome is Outcome.NO_CONTACT for row in plan.notices),
    }
