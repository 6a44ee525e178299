"""What `notifier run` does with the balances it receives: plan the notices they call for, and have them saved."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import structlog

from meter.runtime.clock import Clock
from meter.runtime.kafka import Batch
from meter.runtime.process.metrics import Metrics, begin
from meter.runtime.tracing import NO_TRACES, Traces
from notifier.decide import Channel, Outcome, Thresholds
from notifier.mail.mailer import QUEUED
from notifier.mail.verdict import Verdict
from notifier.model import AccountSnapshot, NotifyPlan, Saved, Unreadable
from notifier.plan import Change, plan_notices
from notifier.records import name_people, read_records
from notifier.render import Renderer
from notifier.store.port import NoticeStore
from notifier.tracing import LOGGED, notice_spans, trace_lines
from schemas.topics import BALANCES

log = structlog.get_logger(component="notify")

WORK = "notify"
# Batches of several shards share a transaction up to this number of changes: a small one costs more than its rows.
TOGETHER_CHANGES = 100
# This number of changes is planned on the event loop, in some 10 ms: for fewer, a thread costs more than the work.
INLINE_CHANGES = 10

T = TypeVar("T")
Changes = Sequence[Change | Unreadable]  # of one shard, in order


class Notify:
    """The work of the notifier's shard loop. `on_saved` wakes what follows: the outbox and the mailer."""

    name = WORK

    def __init__(
        self,
        store: NoticeStore,
        *,
        thresholds: Thresholds,
        renderer: Renderer,
        clock: Clock,
        metrics: Metrics,
        on_saved: Callable[[NotifyPlan, Saved], None],
        traces: Traces = NO_TRACES,
    ) -> None:
        self._store = store
        self._thresholds = thresholds
        self._renderer = renderer
        self._clock = clock
        self._metrics = metrics
        self._on_saved = on_saved
        self._traces = traces
        begin(metrics.records, ["read", "rejected"])
        begin(metrics.notices, list(Channel))
        metrics.latency.begin("notice")

    async def plan(self, batches: Sequence[Batch]) -> list[NotifyPlan]:
        plans = await plan_batches(
            batches, self._store, thresholds=self._thresholds, renderer=self._renderer, clock=self._clock
        )
        if not self._traces.on:
            return plans
        pairs = zip(batches, plans, strict=True)
        return [replace(p, traces=trace_lines(batch.records.get(BALANCES, ()), p.letters)) for batch, p in pairs]

    async def save(self, plan: NotifyPlan) -> Saved:
        return await self._store.save(plan)

    async def save_together(self, plans: Sequence[NotifyPlan]) -> list[Saved] | None:
        return await self._store.save_together(plans)

    def note(self, batch: Batch, plan: NotifyPlan, saved: Saved) -> None:
        self._on_saved(plan, saved)
        self._metrics.records.labels("read").inc(batch.size)
        self._note_notices(plan)
        for outcome, letters in ((QUEUED, saved.queued), (Verdict.CANCELLED.value, saved.cancelled)):
            if letters:
                self._metrics.emails.labels(outcome).inc(letters)
        if plan.unreadable:
            self._metrics.records.labels("rejected").inc(len(plan.unreadable))
            log.error("records_unreadable", shard=plan.shard, reason=sorted({bad.reason for bad in plan.unreadable}))
        write = log.info if plan.notices else log.debug
        write(
            "changes_noticed",
            shard=plan.shard,
            changes=batch.size,
            emails=saved.queued,
            **count(plan),
            **self._follow(plan),
        )

    def _follow(self, plan: NotifyPlan) -> dict[str, list[str]]:
        """Record the batch's spans. Returns what its line says of them."""
        spans = notice_spans(plan, self._clock.now()) if plan.traces else []
        for span in spans:
            self._traces.record(span)
        return {"trace_ids": [span.parent.trace for span in spans[:LOGGED]]} if spans else {}

    def _note_notices(self, plan: NotifyPlan) -> None:
        for row in plan.notices:
            self._metrics.notices.labels(row.notice.channel.value).inc()
        now = self._clock.now()
        stored = [row.notice.balance.as_of for row in plan.notices]
        self._metrics.latency.observe("notice", [(now - at).total_seconds() for at in stored if at is not None])


async def plan_batches(
    batches: Sequence[Batch], store: NoticeStore, *, thresholds: Thresholds, renderer: Renderer, clock: Clock
) -> list[NotifyPlan]:
    """Plans of batches of different shards, at one time."""
    large = sum(batch.size for batch in batches) > INLINE_CHANGES
    shards = [batch.shard for batch in batches]
    changes = await name_all(await compute(large, lambda: [read_batch(batch) for batch in batches]), store, shards)
    known = await store.fetch_known(account_ids(chain.from_iterable(changes)), shards)
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


def read_batch(batch: Batch) -> list[Change | Unreadable]:
    """What the client could not read comes last: it changes nothing, so its place does not matter."""
    unread = (Unreadable(bad.record, bad.reason.value, bad.detail) for bad in batch.unread.get(BALANCES, ()))
    return [*read_records(batch.records.get(BALANCES, [])), *unread]


async def compute(large: bool, work: Callable[[], T]) -> T:
    """In a thread where it is much: rendering hundreds of emails would hold up the heartbeats of the consumer."""
    return await asyncio.to_thread(work) if large else work()


async def name_all(changes: Sequence[Changes], store: NoticeStore, shards: Sequence[int]) -> Sequence[Changes]:
    """Put in the addresses of contacts. Most changes are of balances, so most batches ask for nothing."""
    named = account_ids(change for change in chain.from_iterable(changes) if names_ids(change))
    if not named:
        return changes
    people = await store.fetch_people(named, shards)
    return [[name_people(change, people) for change in of_shard] for of_shard in changes]


def names_ids(change: Change | Unreadable) -> bool:
    return isinstance(change, AccountSnapshot) and change.contact_ids is not None


def account_ids(changes: Iterable[Change | Unreadable]) -> set[str]:
    return {change.account_id for change in changes if not isinstance(change, Unreadable)}


def count(plan: NotifyPlan) -> dict[str, int]:
    delivered = [row.notice for row in plan.notices if row.notice.outcome is Outcome.DELIVERED]
    return {
        "notices": len(plan.notices),
        "banners": sum(notice.channel is Channel.BANNER for notice in delivered),
        "no_contact": sum(row.notice.outcome is Outcome.NO_CONTACT for row in plan.notices),
    }
