"""The loop of every service that reads Kafka: receive → plan → transact → acknowledge → log, shards side by side.

One batch of a shard is in flight at a time. Small batches of several shards share a transaction. What happens when
something fails is decided here, once for all services:

- A transient error while saving: nothing was stored, or nobody knows (a connection lost during COMMIT). The stored
  offsets are read again, and the shard continues from there. Until it has saved a batch it shares no transaction, so it
  holds up no other shard a second time. A shard that fails REWINDS times in a row is a fault of the health report: the
  server may take no writes, or have no room, while it answers all the same.
- A bug (any other error) while planning or saving: the batch stays unacknowledged, the others of its group are stored,
  and then the loop ends with the bug, so that the process ends with it. The same holds for a bug in `note`, whose batch
  is stored already.
- An error of `receive` ends the loop after the batches in flight; if it is transient, `run_service` opens all anew.
- A cancelled loop still waits for the batches in flight: their transactions would outlive the pool otherwise.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from meter.runtime.errors import OwnershipLostError
from meter.runtime.failures import advise, explain, is_transient, name_dependency
from meter.runtime.fault_points import fault_point
from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.log import get_logger
from meter.runtime.process.health import Health

log = get_logger("shard_loop")
REWINDS = 3  # in a row, of one shard: no longer something that passes by itself

Plan = TypeVar("Plan")
Saved = TypeVar("Saved")


class Work(Protocol[Plan, Saved]):
    """What a service does with its batches. `name` stands in health reports, metrics and logs."""

    name: str

    async def plan(self, batches: Sequence[Batch]) -> Sequence[Plan]:
        """A plan for each batch, in their order. Batches are of different shards."""
        ...

    async def save(self, plan: Plan) -> Saved:
        """Carry out one plan in one transaction that begins with the compare-and-set on the batch's offsets.

        Raises OwnershipLostError when the stored offsets are not the expected ones: nothing is written.
        """
        ...

    async def save_together(self, plans: Sequence[Plan]) -> Sequence[Saved] | None:
        """Carry out plans of several shards in one transaction; None: nothing is written, save them one by one."""
        ...

    def note(self, batch: Batch, plan: Plan, saved: Saved) -> None:
        """A batch is stored and acknowledged: count it, log it, wake whatever follows."""
        ...


class ShardLoop(Generic[Plan, Saved]):
    """Runs one kind of work. `together` is the number of records up to which batches share a transaction: below it a
    transaction costs more than its rows. `concurrency` is the number of transactions in flight."""

    def __init__(
        self,
        consumer: ShardConsumer,
        work: Work[Plan, Saved],
        *,
        together: int,
        concurrency: int,
        health: Health,
    ) -> None:
        self.name = work.name
        self._consumer = consumer
        self._work = work
        self._together = together
        self._slots = asyncio.Semaphore(concurrency)
        self._health = health
        self._alone: set[int] = set()  # shards whose last group failed
        self._rewinds: dict[int, int] = {}  # by shard, since it last saved a batch

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; batches in flight are finished first. Raises a bug after the other batches ended."""
        in_flight: set[asyncio.Task[None]] = set()
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: self._consumer.wake())
        try:
            while not stop.is_set():
                received = await self._consumer.receive()
                self._forget_settled()
                for batches in self._group(received):
                    in_flight.add(task := asyncio.create_task(self._process(batches)))
                    task.add_done_callback(self._wake_for_bug)
                in_flight = reap(in_flight)
        finally:
            stopped.cancel()
            await wait_for_all(in_flight)

    def _wake_for_bug(self, task: asyncio.Task[None]) -> None:
        """The loop ends with it, and must not wait for records first: a shard that failed is not freed."""
        if not task.cancelled() and task.exception() is not None:
            self._consumer.wake()

    def _group(self, batches: Sequence[Batch]) -> list[list[Batch]]:
        """Groups for a transaction each; a shard whose last group failed is on its own."""
        grouped = [batch for batch in batches if batch.shard not in self._alone]
        return group_small(grouped, self._together) + [[batch] for batch in batches if batch.shard in self._alone]

    async def _process(self, batches: Sequence[Batch]) -> None:
        async with self._slots:
            await fault_point("after_fetch")
            started = time.monotonic()
            if len(batches) == 1 or not await self._save_together(batches, started):
                await self._save_each(batches, started)

    async def _save_together(self, batches: Sequence[Batch], started: float) -> bool:
        """Whether the batches are done with; if not, none of them is stored and each goes on its own."""
        try:
            plans = await self._work.plan(batches)
            saved = await self._work.save_together(plans)
        except Exception as error:
            if is_transient(error):
                self._alone.update(batch.shard for batch in batches)
                await self._rewind(batches, error)
                return True
            await self._save_each(batches, started)  # the bug is of one batch, and must not hold up the others
            raise
        if saved is None:
            return False
        raise_first(
            [await self._finish(*stored, started) for stored in zip(batches, plans, saved, strict=True)],
        )
        return True

    async def _save_each(self, batches: Sequence[Batch], started: float) -> None:
        """A bug in one batch is raised after the others are stored."""
        raise_first([await self._save(batch, started) for batch in batches])

    async def _save(self, batch: Batch, started: float) -> Exception | None:
        """A bug is returned, a transient error is dealt with."""
        try:
            [plan] = await self._work.plan([batch])
            saved = await self._work.save(plan)
        except Exception as error:
            if not is_transient(error):
                return error
            await self._rewind([batch], error)
            return None
        self._alone.discard(batch.shard)
        return await self._finish(batch, plan, saved, started)

    async def _finish(self, batch: Batch, plan: Plan, saved: Saved, started: float) -> Exception | None:
        """A bug is returned: the batch is stored, whatever `note` makes of it."""
        self._consumer.advance(batch)
        self._forget_rewinds(batch.shard)
        try:
            await self._consumer.acknowledge([batch])
            self._health.mark_progress(self.name)
            self._health.metrics.step_seconds.labels(self.name).observe(time.monotonic() - started)
            self._health.metrics.batch_records.labels(self.name).observe(batch.size)
            self._work.note(batch, plan, saved)
        except Exception as bug:
            return bug
        return None

    async def _rewind(self, batches: Sequence[Batch], error: Exception) -> None:
        shards = [batch.shard for batch in batches]
        if isinstance(error, OwnershipLostError):
            log.warning("ownership_lost", work=self.name, shards=shards, detail=explain(error))
        else:
            dependency = name_dependency(error)
            log.warning("save_failed", work=self.name, shards=shards, dependency=dependency, detail=explain(error))
        await self._consumer.rewind(shards)
        for shard in shards:
            count = self._rewinds[shard] = self._rewinds.get(shard, 0) + 1
            if count >= REWINDS:
                self._tell(shard, count, error)

    def _tell(self, shard: int, count: int, error: Exception) -> None:
        reason = f"its records are not stored, and are read again: {explain(error)}. {advise(error)}"
        if count == REWINDS:
            log.error("shard_not_stored", work=self.name, shard=shard, detail=reason)
        self._health.set_fault(self._part(shard), reason)

    def _forget_rewinds(self, shard: int) -> None:
        if self._rewinds.pop(shard, 0) >= REWINDS:
            log.warning("shard_goes_on", work=self.name, shard=shard)
            self._health.set_fault(self._part(shard), None)

    def _forget_settled(self) -> None:
        """Shards that another process has now, which tells of them, and those of which nothing is left to store: a
        COMMIT whose reply was lost was done, or somebody else did it."""
        if not self._rewinds:
            return
        lags = self._consumer.measure_lag()
        left = {lag.shard for lag in lags if lag.records > 0}
        settled = {lag.shard for lag in lags} - left
        for shard in [*self._rewinds]:
            if shard in settled or shard not in self._consumer.assigned:
                self._forget_rewinds(shard)

    def _part(self, shard: int) -> str:
        return f"{self.name}, shard {shard}"


def group_small(batches: Iterable[Batch], most_records: int) -> list[list[Batch]]:
    """Groups for a transaction each, of `most_records` together; a larger batch is on its own."""
    groups: list[list[Batch]] = []
    room = 0
    for batch in sorted(batches, key=lambda batch: batch.size):
        if not groups or batch.size > room:
            groups.append([])
            room = most_records
        groups[-1].append(batch)
        room -= batch.size
    return groups


def reap(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Tasks still running; the error of an ended one is raised."""
    ended = {task for task in tasks if task.done()}
    # Every ended task is asked for its error: asyncio logs one that nobody asked for.
    raise_first([task.exception() for task in ended])
    return tasks - ended


def raise_first(errors: Iterable[BaseException | None]) -> None:
    """Raise a bug if there is one, else a transient error if there is one."""
    found = sorted((error for error in errors if error is not None), key=is_transient)
    if found:
        raise found[0]


async def wait_for_all(tasks: set[asyncio.Task[None]]) -> None:
    """Wait also when cancelled, then raise what the tasks raised, or the cancellation."""
    cancelled: asyncio.CancelledError | None = None
    while running := {task for task in tasks if not task.done()}:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    reap(tasks)
    if cancelled is not None:
        raise cancelled
