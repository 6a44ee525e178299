"""The loop of `meter run`: receive → plan → transact → acknowledge → log, shards side by side."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from meter.allowance import Allowance
from meter.plan import AppendPlan, plan_append
from meter.runtime.clock import Clock
from meter.runtime.errors import OwnershipLostError
from meter.runtime.failures import explain, is_transient, name_dependency
from meter.runtime.fault_points import fault_point
from meter.runtime.grouping import group_small
from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.process.health import Health
from meter.store.port import Appended, EventStore
from schemas.parsing.parse import parse_all
from schemas.records import Limits

log = structlog.get_logger(component="ingest")

WORK = "append"
# So many events go into one transaction whatever their shards are: below, its price is more than that of the rows.
TOGETHER_EVENTS = 2_000
REPORT_PAUSE_S = 10.0


class Ingest:
    """One batch of a shard is on its way at a time; a shard that fails for good holds no other up."""

    name = "ingest"

    def __init__(
        self,
        consumer: ShardConsumer,
        store: EventStore,
        *,
        clock: Clock,
        limits: Limits,
        allowance: Allowance,
        concurrency: int,
        health: Health,
    ) -> None:
        self._consumer = consumer
        self._store = store
        self._clock = clock
        self._limits = limits
        self._allowance = allowance
        self._slots = asyncio.Semaphore(concurrency)
        self._health = health
        self._stored = 0
        self._next_report = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; batches on their way are finished first. A bug in one batch ends the loop, unacknowledged,
        after the others of its group are stored."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                for batches in group_small(await self._consumer.receive(), TOGETHER_EVENTS):
                    under_way.add(asyncio.create_task(self._process(batches)))
                under_way = reap(under_way)
                self._report()
        finally:
            if under_way:
                await asyncio.wait(under_way)
            reap(under_way)

    async def _process(self, batches: Sequence[Batch]) -> None:
        async with self._slots:
            await fault_point("after_fetch")
            started = time.monotonic()
            if len(batches) == 1 or not await self._append_together(batches, started):
                await self._append_singly(batches, started)

    async def _append_together(self, batches: Sequence[Batch], started: float) -> bool:
        """Whether they were dealt with. Where one stands in the way of the others, each goes on its own."""
        try:
            plans = [self.plan(batch) for batch in batches]
            appended = await self._store.append_together(plans)
        except Exception as error:
            if not is_transient(error):
                # One of them is to blame, and holds the others up no longer than this.
                await self._append_singly(batches, started)
                raise
            for batch in batches:
                await self._give_back(batch, error)
            return True
        for batch, plan, done in zip(batches, plans, appended or (), strict=False):
            await self._finish(batch, plan, done, started)
        return appended is not None

    async def _append_singly(self, batches: Sequence[Batch], started: float) -> None:
        """A bug in one batch is raised after the others are stored."""
        bugs: list[Exception] = []
        for batch in batches:
            try:
                await self._append(batch, started)
            except Exception as bug:
                bugs.append(bug)
        if bugs:
            raise bugs[0]

    async def _append(self, batch: Batch, started: float) -> None:
        plan = self.plan(batch)
        try:
            appended = await self._store.append(plan)
        except Exception as error:
            if not is_transient(error):
                raise
            await self._give_back(batch, error)
            return
        await self._finish(batch, plan, appended, started)

    async def _finish(self, batch: Batch, plan: AppendPlan, appended: Appended, started: float) -> None:
        self._consumer.advance(batch)
        await self._consumer.acknowledge([batch])
        self._note(plan, appended, time.monotonic() - started)

    def plan(self, batch: Batch) -> AppendPlan:
        """What this batch will append. The time is read once: all its rows share it."""
        now = self._clock.now()
        return plan_append(
            shard=batch.shard,
            records=batch.records,
            results={topic: parse_all(records, now, self._limits) for topic, records in batch.records.items()},
            start=batch.start,
            end=batch.end,
            recorded_at=now,
            allowance=self._allowance,
        )

    async def _give_back(self, batch: Batch, error: Exception) -> None:
        """Nothing was stored, or nobody knows (a connection lost during COMMIT): ask the stored offsets again."""
        if isinstance(error, OwnershipLostError):
            log.warning("ownership_lost", shard=batch.shard, detail=str(error))
        else:
            log.warning("append_failed", shard=batch.shard, dependency=name_dependency(error), detail=explain(error))
        await self._consumer.rewind([batch.shard])

    def _note(self, plan: AppendPlan, appended: Appended, seconds: float) -> None:
        self._health.mark_progress(WORK)
        metrics = self._health.metrics
        metrics.step_seconds.labels("append").observe(seconds)
        outcomes: Mapping[str, int] = {
            "stored": appended.stored,
            "duplicate": appended.duplicates,
            "rejected": appended.rejected,
            "gap": appended.gaps,
        }
        for outcome, count in outcomes.items():
            if count:
                metrics.records.labels(outcome).inc(count)
        self._stored += appended.stored
        log.debug(
            "batch_appended",
            shard=appended.shard,
            position=appended.last_position,
            duration_ms=round(seconds * 1000, 1),
            **outcomes,
        )
        if plan.rejections or plan.gaps:
            log.warning(
                "records_refused",
                shard=plan.shard,
                rejected=appended.rejected,
                gaps=appended.gaps,
                reason=sorted({rejected.reason.value for rejected in plan.rejections}),
            )

    def _report(self) -> None:
        """One line now and then instead of one per batch."""
        now = asyncio.get_running_loop().time()
        if self._stored and now >= self._next_report:
            log.info("events_stored", events=self._stored, lag=self._consumer.lag())
            self._stored = 0
            self._next_report = now + REPORT_PAUSE_S


def reap(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Tasks still running; the error of an ended one is raised."""
    ended = {task for task in tasks if task.done()}
    # All are asked, for asyncio complains of an error that nobody asked for.
    errors = [error for task in ended if (error := task.exception())]
    if errors:
        raise errors[0]
    return tasks - ended
