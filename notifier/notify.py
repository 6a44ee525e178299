"""The loop that reads balances: receive → plan → transact → acknowledge → log, small batches of shards together."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import structlog

from meter.runtime.clock import Clock
from meter.runtime.errors import OwnershipLostError
from meter.runtime.failures import explain, is_transient, name_dependency
from meter.runtime.fault_points import fault_point
from meter.runtime.grouping import group_small
from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.process.health import Health
from notifier.decide import Channel, Outcome, Thresholds
from notifier.model import NotifyPlan, Unreadable
from notifier.plan import Change, plan_notices
from notifier.records import read_records
from notifier.render import Renderer
from notifier.store.port import NoticeStore
from schemas.topics import BALANCES

log = structlog.get_logger(component="notify")

WORK = "notify"
# So many changes go into one transaction whatever their shards are: below, its price is more than that of the rows.
TOGETHER_CHANGES = 100
# So many are planned on the spot: some 10 ms. For fewer, the way to a thread and back costs more than the work.
INLINE_CHANGES = 10

T = TypeVar("T")


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
            await self._process_all(group_small(await self._consumer.receive(), TOGETHER_CHANGES))

    async def _process_all(self, groups: Sequence[Sequence[Batch]]) -> None:
        endings = await asyncio.gather(*map(self._process, groups), return_exceptions=True)
        for ending in endings:
            if ending is not None:
                raise ending

    async def _process(self, batches: Sequence[Batch]) -> None:
        await fault_point("after_fetch")
        started = time.monotonic()
        try:
            plans = await self._plan(batches)
            saved = len(plans) > 1 and await self._store.save_together(plans)
        except Exception as error:
            if len(batches) > 1 and not is_transient(error):
                # One of them is to blame, and holds the others up no longer than this.
                await self._process_all([[batch] for batch in batches])
                return
            await self._give_back(batches, error)
            return
        for batch, plan in zip(batches, plans, strict=True):
            if saved or await self._save(batch, plan):
                await self._finish(batch, plan, time.monotonic() - started)

    async def _save(self, batch: Batch, plan: NotifyPlan) -> bool:
        try:
            await self._store.save(plan)
        except Exception as error:
            await self._give_back([batch], error)
            return False
        return True

    async def _finish(self, batch: Batch, plan: NotifyPlan, seconds: float) -> None:
        self._consumer.advance(batch)
        await self._consumer.acknowledge([batch])
        self._on_saved(plan)
        self._note(batch, plan, seconds)

    async def _plan(self, batches: Sequence[Batch]) -> list[NotifyPlan]:
        return await plan_batches(
            batches, self._store, thresholds=self._thresholds, renderer=self._renderer, clock=self._clock
        )

    async def _give_back(self, batches: Sequence[Batch], error: Exception) -> None:
        """Nothing was stored, or nobody knows (a connection lost during COMMIT): ask the stored offsets again.

        An error that is none of the dependencies' is a bug, and is raised.
        """
        if not is_transient(error):
            raise error
        for batch in batches:
            if isinstance(error, OwnershipLostError):
                log.warning("ownership_lost", shard=batch.shard, detail=str(error))
            else:
                log.warning("save_failed", shard=batch.shard, dependency=name_dependency(error), detail=explain(error))
        await self._consumer.rewind([batch.shard for batch in batches])

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


async def plan_batches(
    batches: Sequence[Batch], store: NoticeStore, *, thresholds: Thresholds, renderer: Renderer, clock: Clock
) -> list[NotifyPlan]:
    """Plans of batches of different shards, at one time."""
    large = sum(batch.size for batch in batches) > INLINE_CHANGES
    changes = await compute(large, lambda: [read_records(batch.records.get(BALANCES, [])) for batch in batches])
    known = await store.fetch_known(account_ids(chain.from_iterable(changes)))
    at = clock.now()

    def plan() -> list[NotifyPlan]:
        return [
            plan_notices(
                changes_of_shard,
                known,
                thresholds,
                renderer,
                topic=BALANCES,
                shard=batch.shard,
                start=batch.start[BALANCES],
                end=batch.end[BALANCES],
                at=at,
            )
            for batch, changes_of_shard in zip(batches, changes, strict=True)
        ]

    return await compute(large, plan)


async def compute(large: bool, work: Callable[[], T]) -> T:
    """In a thread where it is much: rendering hundreds of emails would hold up the heartbeats of the consumer."""
    return await asyncio.to_thread(work) if large else work()


def account_ids(changes: Iterable[Change | Unreadable]) -> set[str]:
    return {change.account_id for change in changes if not isinstance(change, Unreadable)}


def count(plan: NotifyPlan) -> dict[str, int]:
    delivered = [row.notice for row in plan.notices if row.notice.outcome is Outcome.DELIVERED]
    return {
        "notices": len(plan.notices),
        "banners": sum(notice.channel is Channel.BANNER for notice in delivered),
        "no_contact": sum(row.notice.outcome is Outcome.NO_CONTACT for row in plan.notices),
    }
