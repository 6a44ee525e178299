"""Polls the client and fills the buffers, `fetch_bytes` at a time.

One task polls, and it is never cancelled: a cancelled `getmany` switches aiokafka's max-poll protection off for good.
`receive` waits beside the task, so it returns in time during a rebalance, too.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from meter.runtime.kafka.adapter.protocols import RECORD_BYTES, ConsumerClient, Polled, TopicPartition
from meter.runtime.kafka.pace import FetchPace
from meter.runtime.kafka.partition_buffer import Offered, weigh_headers
from meter.runtime.kafka.shard_buffers import ShardBuffers
from meter.runtime.log import get_logger

log = get_logger("kafka_poller")

# Decoding this much takes about 50 ms without a pause, so heartbeats are never late.
POLL_RECORDS = 20_000
POLL_BYTES = 4 * 1024 * 1024
# So long a poll stands while little comes: records end it at once, and a service that has nothing to do spends a third
# of its time in turns of this loop. Only a partition that is not in the poll waits for its end.
CALM_POLL_MS = 500
# And so long one that follows ten seconds without a record.
IDLE_POLL_MS = 1_000
# aiokafka limits a poll by the number of records only, so their size is estimated from those of the poll before.
FIRST_RECORD_BYTES = 16 * 1024


class Poller:
    """Keeps one poll running while there is a partition to fetch from."""

    def __init__(self, buffers: ShardBuffers, poll_ms: int, pace: FetchPace) -> None:
        self._buffers = buffers
        self._poll_ms = poll_ms
        self._pace = pace
        self._task: asyncio.Task[None] | None = None
        self._record_bytes = FIRST_RECORD_BYTES

    def keep_polling(self, client: ConsumerClient) -> None:
        """Start the next poll when the last one has ended and there is room. Raises the error of the last poll."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
        if self._task is None and self._buffers.find_fetchable():
            self._task = asyncio.create_task(self._poll(client))

    async def wait(self, freed: asyncio.Event, *, calm: bool) -> None:
        """Until the poll ends, `freed` is set or `poll_ms` have passed. `calm`: nothing else is due, so a calm poll may
        stand."""
        waiters: set[asyncio.Task[Any]] = {asyncio.create_task(freed.wait())}
        waiting = next(iter(waiters))
        if self._task is not None:
            waiters.add(self._task)
        try:
            wait_ms = self._choose_wait() if calm else self._poll_ms
            await asyncio.wait(waiters, timeout=wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """Call it only after the client was stopped."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        if task.done() and not task.cancelled():
            task.exception()

    async def _poll(self, client: ConsumerClient) -> None:
        """Poll until the client has no more records; only the first poll waits for some."""
        records = size = 0
        timeout_ms = self._choose_wait()
        now = asyncio.get_running_loop().time
        while (fetchable := self._buffers.find_fetchable()) and records < POLL_RECORDS and size < POLL_BYTES:
            most = min(max(1, self._buffers.fetch_bytes // self._record_bytes), POLL_RECORDS - records)
            polled = await client.poll(fetchable, timeout_ms=timeout_ms, max_records=most)
            # No await may come between the poll and the fetch offsets: they belong to these records.
            assigned = client.assignment()
            fetch_offsets = {tp: client.fetch_offset(tp) for tp in fetchable if tp in assigned}
            got, got_size = self._fill(client, polled, fetch_offsets)
            client.gather(self._pace.note(got, now()), is_idle=self._pace.is_idle)
            if not got:
                break
            records, size, timeout_ms = records + got, size + got_size, 0
            self._record_bytes = max(RECORD_BYTES, got_size // got)

    def _choose_wait(self) -> int:
        """While much comes, or a partition is left out because its buffer is full, it must not wait for the others."""
        is_calm = not self._pace.wait_s and len(self._buffers.find_fetchable()) == len(self._buffers.partitions)
        if not is_calm:
            return self._poll_ms
        return max(IDLE_POLL_MS if self._pace.is_idle else CALM_POLL_MS, self._poll_ms)

    def _fill(
        self,
        client: ConsumerClient,
        polled: Mapping[TopicPartition, Sequence[Polled]],
        fetch_offsets: Mapping[TopicPartition, int],
    ) -> tuple[int, int]:
        """Give each buffer the records of its partition. Returns the number and the size of all that were polled."""
        records = size = 0
        for tp, raw in polled.items():
            records += len(raw)
            size += self._offer(client, tp, raw, fetch_offsets.get(tp, 0))
        for tp, fetch_offset in fetch_offsets.items():
            buffer = self._buffers.partitions.get(tp)
            if buffer is not None and not buffer.waiting:
                buffer.fetch_offset = fetch_offset
        return records, size

    def _offer(self, client: ConsumerClient, tp: TopicPartition, raw: Sequence[Polled], fetch_offset: int) -> int:
        buffer = self._buffers.partitions.get(tp)
        if buffer is None:
            return weigh_raw(raw)  # rewound or revoked since: positioned again before it is read again
        before, count, size = buffer.next, buffer.waiting, buffer.size
        verdict = buffer.offer(raw, fetch_offset)
        if verdict is Offered.SEEK:
            log.warning("records_skipped", topic=tp.topic, shard=tp.partition, offset=before, found=raw[0].offset)
            seek_if_assigned(client, tp, buffer.next)
        elif verdict is Offered.TAKEN and raw[0].offset > before:
            log.warning("gap_found", topic=tp.topic, shard=tp.partition, offset=before, found=raw[0].offset)
        # The buffer has weighed what it took. Records that it dropped count, too: they say how large the next may be.
        return buffer.size - size if buffer.waiting - count == len(raw) else weigh_raw(raw)


def weigh_raw(raw: Sequence[Polled]) -> int:
    return sum(RECORD_BYTES + len(record.value or b"") + weigh_headers(record.headers) for record in raw)


def seek_if_assigned(client: ConsumerClient, tp: TopicPartition, offset: int) -> None:
    if tp in client.assignment():
        client.seek(tp, offset)
