"""`meter verify`: the whole log against its chain, its own numbers and the anchors. Reads only; the service may run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from meter.store.audit import Progress, ShardReport, ShardSize, audit_shard, check_codes, list_shards
from meter.store.damage import Finding
from schemas.topics import ANCHORS

if TYPE_CHECKING:
    from meter.store.anchored import AnchorAudit

CONNECTIONS = 3  # measured on two cores: done sooner than with two, for the same CPU


@dataclass
class Report:
    """`anchored` has the highest anchored batch by shard; it is None where anchors were not looked at."""

    shards: list[ShardReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    anchors: int = 0
    anchored: dict[int, int] | None = None

    @property
    def events(self) -> int:
        return sum(report.events for report in self.shards)

    @property
    def batches(self) -> int:
        return sum(report.batches for report in self.shards)

    @property
    def former(self) -> int:
        return sum(report.former for report in self.shards)

    @property
    def closed(self) -> int:
        return sum(report.closed for report in self.shards)

    def add_anchors(self, audit: AnchorAudit) -> None:
        self.anchors = audit.checked
        self.anchored = {number: found.newest for number, found in audit.by_shard.items()}
        self.findings += audit.findings()


async def choose_shards(pool: Pool, shard: int | None) -> list[ShardSize]:
    async with pool.acquire() as connection:
        sizes = await list_shards(connection)
    chosen = [size for size in sizes if shard in (None, size.shard)]
    if not chosen:
        raise RefusalError(f"there is no shard {shard}" if sizes else "there are no shards: run `meter setup`")
    return chosen


async def verify_store(
    pool: Pool,
    sizes: Sequence[ShardSize],
    anchors: Coroutine[Any, Any, AnchorAudit] | None,
    *,
    first_batch: int = 1,
    progress: Progress = lambda _events: None,
) -> Report:
    """The log, and the anchors beside it: to read a topic is to wait, for the most part."""
    audit = asyncio.create_task(anchors) if anchors else None
    try:
        report = await verify_log(pool, sizes, first_batch=first_batch, progress=progress)
        if audit:
            report.add_anchors(await audit)
        return report
    finally:
        if audit:
            audit.cancel()
            await asyncio.gather(audit, return_exceptions=True)


async def verify_log(
    pool: Pool, sizes: Sequence[ShardSize], *, first_batch: int = 1, progress: Progress = lambda _events: None
) -> Report:
    """Shards side by side, the largest first, each in a snapshot of its own."""
    waiting = sorted(sizes, key=lambda size: -size.events)
    report = Report()
    async with pool.acquire() as connection:
        report.findings += await check_codes(connection)

    async def work() -> None:
        while waiting:
            size = waiting.pop(0)
            async with pool.acquire() as connection:
                done = await audit_shard(connection, size.shard, first_batch=first_batch, progress=progress)
            report.shards.append(done)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    report.shards.sort()
    report.findings += [finding for done in report.shards for finding in done.findings]
    return report


async def audit_anchors(
    settings: Settings, pool: Pool, *, shard: int | None = None, first_batch: int = 1
) -> AnchorAudit:
    """Every anchor there is, compared with the batch it names.

    No snapshot is needed: a head is published after its batch is committed, and batches never change.
    """
    # The Kafka client and the models of what it reads: `--no-anchors`, and a database that is away, need neither.
    from meter.runtime.kafka.topic_reader import read_topic
    from meter.store.anchored import AnchorAudit

    audit = AnchorAudit(pool, shard=shard, first_batch=first_batch)
    async for records in read_topic(settings, ANCHORS):
        await audit.check([(record.offset, record.value) for record in records])
    return audit
