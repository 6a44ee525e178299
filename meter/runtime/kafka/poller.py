"""Getting records from the client into the feeds, a helping at a time.

One task polls, and it is never cancelled: a cancelled `getmany` switches aiokafka's max-poll protection off for good.
`receive` waits beside it, so it returns in time during a rebalance, too.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition

from meter.runtime.kafka.codecs import OversizedBatchError
from meter.runtime.kafka.partition_buffer import RECORD_BYTES, Verdict
from meter.runtime.kafka.shard_buffers import Shelf

log = structlog.get_logger(component="kafka_poll")

# One synchronous slice of record decoding: about 50 ms, so heartbeats are never late.
POLL_RECORDS = 20_000
POLL_BYTES = 4 * 1024 * 1024
# A helping is counted in records, because aiokafka knows nothing else; their size is guessed from the last one.
FIRST_RECORD_BYTES = 16 * 1024


class Poller:
    """Keeps one poll going while there is room."""

    def __init__(self, shelf: Shelf, poll_ms: int) -> None:
        self._shelf = shelf
        self._poll_ms = poll_ms
        self._task: asyncio.Task[None] | None = None
        self._record_bytes = FIRST_RECORD_BYTES
        self._careful = False  # one record at a time, on the way to a batch that cannot be unpacked
        self.refusal: OversizedBatchError | None = None

    def turn(self, consumer: Any) -> None:
        """Look how the last poll ended, raising its error, and start the next one where there is room."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
        if self._task is None and self.refusal is None and self._shelf.find_hungry():
            self._task = asyncio.create_task(self._poll(consumer))

    async def wait(self, freed: asyncio.Event) -> None:
        """Until the poll ends, a shard is freed or `poll_ms` have passed."""
        waiters: set[asyncio.Task[Any]] = {asyncio.create_task(freed.wait())}
        waiting = next(iter(waiters))
        if self._task is not None:
            waiters.add(self._task)
        await asyncio.wait(waiters, timeout=self._poll_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def stop(self) -> None:
        """Only after the client was stopped."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        if task.done() and not task.cancelled():
            task.exception()

    async def _poll(self, consumer: Any) -> None:
        """One helping after the other while the client has records; it waits for the first one only."""
        records = size = 0
        timeout_ms = self._poll_ms
        while (hungry := self._shelf.find_hungry()) and records < POLL_RECORDS and size < POLL_BYTES:
            partitions = [TopicPartition(*place) for place in hungry]
            most = min(max(1, self._shelf.helping // self._record_bytes), POLL_RECORDS - records)
            most = 1 if self._careful else most
            try:
                polled = await consumer.getmany(*partitions, timeout_ms=timeout_ms, max_records=most)
            except OversizedBatchError as error:
                self._approach(consumer, partitions, error)
                break
            # No await may come between getmany's return and the positions: they belong to these records.
            assignment = consumer.assignment()
            positions = {tp: position_of(consumer, tp) for tp in partitions if tp in assignment}
            got, got_size = self._serve(consumer, polled, positions)
            if not got:
                break
            records, size, timeout_ms = records + got, size + got_size, 0
            self._record_bytes = max(RECORD_BYTES, got_size // got)

    def _approach(self, consumer: Any, partitions: Sequence[TopicPartition], error: OversizedBatchError) -> None:
        """Read all that lies before the batch first, so that whoever removes it removes nothing else; then refuse."""
        if self._careful:
            # What was given out completely is gone from the fetcher's records: the first one left has failed.
            failed = next((tp for tp in consumer._fetcher._records if tp in partitions), None)
            self.refusal = OversizedBatchError(explain_oversized(self._shelf, failed, str(error)))
        self._careful = True
        for place, feed in self._shelf.feeds.items():
            seek_if_assigned(consumer, TopicPartition(*place), feed.next)

    def _serve(
        self, consumer: Any, polled: Mapping[TopicPartition, list[Any]], positions: Mapping[TopicPartition, int]
    ) -> tuple[int, int]:
        """Give every feed what is its own; how many records came, and their size."""
        records = size = 0
        for tp, raw in polled.items():
            records += len(raw)
            size += self._offer(consumer, tp, raw, positions.get(tp, 0))
        for tp, position in positions.items():
            feed = self._shelf.feeds.get(tp)
            if feed is not None and not feed.buffer:
                feed.position = position
        return records, size

    def _offer(self, consumer: Any, tp: TopicPartition, raw: Sequence[Any], position: int) -> int:
        feed = self._shelf.feeds.get(tp)
        if feed is None:
            return weigh_raw(raw)  # rewound or revoked since: positioned again before it is read again
        before, count, size = feed.next, len(feed.buffer), feed.size
        verdict = feed.offer(raw, position)
        if verdict is Verdict.SEEK:
            log.warning("records_skipped", topic=tp.topic, shard=tp.partition, offset=before, found=raw[0].offset)
            seek_if_assigned(consumer, tp, feed.next)
        elif verdict is Verdict.TAKEN and raw[0].offset > before:
            log.warning("gap_found", topic=tp.topic, shard=tp.partition, offset=before, found=raw[0].offset)
        # What the feed took it has weighed; the rest counts, too: it says how large the next records may be.
        return feed.size - size if len(feed.buffer) - count == len(raw) else weigh_raw(raw)


def weigh_raw(raw: Sequence[Any]) -> int:
    return sum(RECORD_BYTES + len(record.value or b"") for record in raw)


def explain_oversized(shelf: Shelf, tp: TopicPartition | None, detail: str) -> str:
    feed = shelf.feeds.get(tp) if tp is not None else None
    where = f"of {tp.topic}[{tp.partition}] at offset {feed.next}" if tp is not None and feed is not None else ""
    return (
        f"the record batch {where} {detail}: no producer does that by accident. All before it is stored, nothing of it "
        "is. Find out who wrote it. To go on, delete the records up to the batch's end (kafka-delete-records) and "
        "start once with METERING_ACCEPT_LOST_RECORDS=true to have the gap recorded."
    )


def seek_if_assigned(consumer: Any, tp: TopicPartition, offset: int) -> None:
    if tp in consumer.assignment():
        consumer.seek(tp, offset)


def position_of(consumer: Any, tp: TopicPartition) -> int:
    """The client's next offset; the public `position()` is a coroutine, and would give way to a seek."""
    state = consumer._subscription.subscription.assignment.state_value(tp)
    return int(state.position) if state is not None and state.has_valid_position else 0
