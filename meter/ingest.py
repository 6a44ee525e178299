"""What `meter run` does with the records it receives: plan what to append, and have it appended to the event store."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from meter.allowance import Allowance
from meter.bounds import Room
from meter.corrections import REVERSED
from meter.plan import AppendPlan, plan_append
from meter.runtime.clock import Clock
from meter.runtime.kafka import Batch
from meter.runtime.process.metrics import Metrics, begin
from meter.runtime.tracing import NO_TRACES, Traces
from meter.settings import EVIDENCE_BYTES
from meter.store.port import Appended, EventStore
from meter.tracing import LOGGED, batch_spans, carry_headers
from schemas.events import INPUT_TYPES
from schemas.parsing.parse import parse_all, parse_rows
from schemas.reasons import Reason
from schemas.records import Limits, Outcome, Parsed, Record, Remarked, Rerouted
from schemas.rows import seconds_since
from schemas.topics import USAGE

log = structlog.get_logger(component="ingest")

WORK = "append"
# Batches of several shards share a transaction up to this number of events: a small one costs more than its rows.
TOGETHER_EVENTS = 2_000
# A metric must not grow with what producers choose, so fields that no event has are counted together.
FIELDS: Final = frozenset(field for event in INPUT_TYPES.values() for field in event.model.model_fields)
OTHER_FIELDS: Final = "other"
OUTCOMES = ("stored", "duplicate", "rejected", "gap", "rerouted", "waiting")


class UsageEnds(NamedTuple):
    """Where usage ends now: in the batch's own partition, and in each, as long as some of it may still come from the
    others."""

    own: int
    elsewhere: tuple[int, ...] = ()


FindEnds = Callable[[Batch], Awaitable[UsageEnds]]


async def all_is_read(_batch: Batch) -> UsageEnds:
    """For a log that nobody writes to meanwhile."""
    return UsageEnds(0)


class Ingest:
    """The work of the meter's shard loop."""

    name = WORK

    def __init__(
        self,
        store: EventStore,
        *,
        clock: Clock,
        limits: Limits,
        allowance: Allowance,
        metrics: Metrics,
        wake_relay: Callable[[], None] = lambda: None,
        find_ends: FindEnds = all_is_read,
        evidence_bytes: int = EVIDENCE_BYTES,
        traces: Traces = NO_TRACES,
    ) -> None:
        """`find_ends` asks where the usage ends that a batch's reversals may name; `evidence_bytes` of a shard are kept
        record by record in a minute."""
        self._store = store
        self._clock = clock
        self._limits = limits
        self._allowance = allowance
        self._metrics = metrics
        begin(metrics.records, OUTCOMES)
        begin(metrics.rejections, list(Reason))
        metrics.latency.begin("stored")
        self._wake_relay = wake_relay
        self._find_ends = find_ends
        self._traces = traces
        self._room = Room(evidence_bytes)
        self._held: dict[int, int] = {}  # by partition: up to where usage must be stored before reversals are due

    async def plan(self, batches: Sequence[Batch]) -> list[AppendPlan]:
        return [await self._plan(batch) for batch in batches]

    async def _plan(self, batch: Batch) -> AppendPlan:
        """The ends of usage are asked after reversals were read: what was sent before them lies below. Other events
        wait for no broker."""
        planned = self.plan_batch(batch)
        if all(event.type != REVERSED for event in planned.corrections):
            return planned
        ends = await self._find_ends(batch)
        return replace(planned, usage_end=ends.own, usage_ends=ends.elsewhere)

    def plan_batch(self, batch: Batch) -> AppendPlan:
        """What this batch will append. The time is read once: all its rows share it."""
        now = self._clock.now()
        return plan_append(
            shard=batch.shard,
            records=batch.records,
            results={topic: self._parse(records, now) for topic, records in batch.records.items()},
            start=batch.start,
            end=batch.end,
            recorded_at=now,
            allowance=self._allowance,
            unread=batch.unread,
            room=self._room.left(batch.shard, now),
        )

    def _parse(self, records: Sequence[Record], now: datetime) -> Parsed | Sequence[Outcome]:
        if self._traces.on:
            return carry_headers(records, parse_all(records, now, self._limits))
        return parse_rows(records, now, self._limits)

    async def save(self, plan: AppendPlan) -> Appended:
        return await self._store.append(plan)

    async def save_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        return await self._store.append_together(plans)

    def note(self, batch: Batch, plan: AppendPlan, saved: Appended) -> None:
        outcomes: Mapping[str, int] = {
            "stored": saved.stored,
            "duplicate": saved.duplicates,
            "rejected": sum(saved.reasons.values()),
            "gap": saved.gaps,
            "rerouted": saved.rerouted,
            "waiting": saved.waiting,
        }
        for outcome, count in outcomes.items():
            if count:
                self._metrics.records.labels(outcome).inc(count)
        for reason, count in saved.reasons.items():
            self._metrics.rejections.labels(reason).inc(count)
        self._room.use(batch.shard, saved.evidence, self._clock.now())
        self._note_latency(plan)
        if plan.remarked:
            self._note_remarked(plan.remarked)
        if plan.rerouted:
            self._note_rerouted(plan.rerouted)
        self._note_held(batch, saved.waiting, plan)
        followed = self._note_traces(plan) if self._traces.on else {}
        log.debug("batch_appended", shard=batch.shard, position=saved.last_position, **outcomes)
        if saved.reasons or plan.gaps:
            log.warning(
                "records_refused",
                shard=batch.shard,
                rejected=saved.rejected,
                gaps=saved.gaps,
                reason=sorted(saved.reasons),
                **followed,
            )

    def _note_traces(self, plan: AppendPlan) -> dict[str, list[str]]:
        """What the batch's lines say of them: the traces of what was refused."""
        spans = batch_spans(plan, self._clock.now())
        for span in spans:
            self._traces.record(span)
        refused = [span.parent.trace for span in spans if span.failed is not None]
        return {"trace_ids": refused[:LOGGED]} if refused else {}

    def _note_latency(self, plan: AppendPlan) -> None:
        now = self._clock.now()
        self._metrics.latency.observe("stored", [*seconds_since(plan.rows, now), *seconds_since(plan.corrections, now)])

    def _note_remarked(self, remarked: Sequence[Remarked]) -> None:
        fields = Counter(remark.field.partition("[")[0] for result in remarked for remark in result.remarks)
        for field, count in fields.items():
            self._metrics.fields_ignored.labels(field if field in FIELDS else OTHER_FIELDS).inc(count)

    def _note_held(self, batch: Batch, waiting: int, plan: AppendPlan) -> None:
        """Wake the relay once usage is stored that reversals wait for; it looks by itself as well."""
        if waiting:
            self._held |= dict(enumerate(plan.usage_ends)) or {batch.shard: plan.usage_end}
        if self._held.get(batch.shard, batch.end[USAGE] + 1) <= batch.end[USAGE]:
            del self._held[batch.shard]
            self._wake_relay()

    def _note_rerouted(self, rerouted: Sequence[Rerouted]) -> None:
        self._wake_relay()
        for source, count in Counter(moved.source for moved in rerouted).items():
            self._metrics.count_rerouted(source, count)
