"""Reads one shard of the log in one snapshot, in chunks, and has it judged. Changes nothing; the service may run."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import asyncpg

from meter.runtime.errors import explain
from meter.runtime.postgres import Executor, is_on_citus, load_sql
from meter.store.check import (
    START,
    BatchRow,
    Link,
    Unreadable,
    check_batch,
    check_links,
    check_shard,
    check_strays,
)
from meter.store.damage import Damage, Finding
from meter.store.former import Former, check_former
from meter.store.rehash import hash_batches
from schemas.codes import EVENT_CODES
from schemas.resources import RESOURCE_CODES

CHUNK_ROWS = 100_000  # a fraction of a second, far from any statement timeout
CHUNK_BATCHES = 1_000
LOWEST_BATCH = -(2**63)
MAX_FINDINGS = 1_000

# Errors that show damage in one chunk, not a failing server. The chunk is halved until the batch is known.
UNREADABLE = (
    asyncpg.InternalServerError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.QueryCanceledError,
)

Progress = Callable[[int], None]


class ShardSize(NamedTuple):
    shard: int
    events: int


class ShardReport(NamedTuple):
    """What was checked: up to which batch and position, and what was found.

    `former` and `closed`: batches that were chained anew, whose former hash is proved, and those whose cannot be.
    """

    shard: int
    batches: int
    events: int
    link: Link
    findings: list[Finding]
    former: int = 0
    closed: int = 0


async def list_shards(connection: Executor) -> list[ShardSize]:
    name = "list_distributed_shards" if await is_on_citus(connection) else "list_log_shards"
    return [ShardSize(*row) for row in await connection.fetch(load_sql("meter", name))]


async def check_codes(connection: Executor) -> list[Finding]:
    """The tables that say what the codes in the event rows mean."""
    rows = await connection.fetch(load_sql("meter", "fetch_codes"))
    stored = {tuple(row) for row in rows}
    wanted = {("type", event.code, event.type) for event in EVENT_CODES}
    wanted |= {("resource", code, resource.value) for resource, code in RESOURCE_CODES.items()}
    return [
        Finding(None, None, Damage.CODES_CHANGED, f"{kind} {code} {name!a} is {'missing' if known else 'unknown'}")
        for kind, code, name, known in sorted(
            [(*code, True) for code in wanted - stored] + [(*code, False) for code in stored - wanted]
        )
    ]


async def audit_shard(
    connection: Executor, shard: int, *, first_batch: int = 1, progress: Progress = lambda _events: None
) -> ShardReport:
    """Check a shard from a batch on, in one snapshot: what the service appends meanwhile is not seen."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(load_sql("meter", "prepare_audit"))
        return await Audit(connection, shard, progress).run(first_batch)


class Audit:
    def __init__(self, connection: Executor, shard: int, progress: Progress) -> None:
        self._connection = connection
        self._shard = shard
        self._progress = progress
        self._findings: list[Finding] = []
        self._batches = self._events = 0
        self._former = Former([], 0, 0)

    async def run(self, first_batch: int) -> ShardReport:
        stored = await self._fetch_link("fetch_shard")
        link = await self._fetch_link("fetch_link", first_batch) if first_batch > 1 else None
        link = link or START
        first = first_batch if first_batch > 1 else LOWEST_BATCH
        while (last := await self._find_chunk_end(first)) is not None:
            for row in await self._read(first, last):
                link = self._judge(link, row)
            if len(self._findings) > MAX_FINDINGS:
                break
            first = last + 1
        else:
            self._findings += check_shard(self._shard, stored, link)
            self._findings += await self._find_strays(link)
            self._findings += await self._find_wrong_links(link)
            if first_batch == 1:
                self._former = await check_former(self._connection, self._shard)
                self._findings += self._former.findings
        former = self._former.compared, self._former.closed
        return ShardReport(self._shard, self._batches, self._events, link, self._findings, *former)

    def _judge(self, link: Link, row: BatchRow | Unreadable) -> Link:
        self._findings += check_batch(self._shard, link, row)
        events = row.event_rows if isinstance(row, BatchRow) else 0
        self._batches += 1
        self._events += events
        self._progress(events)
        return row.link()

    async def _fetch_link(self, statement: str, *arguments: int) -> Link | None:
        row = await self._connection.fetchrow(load_sql("meter", statement), self._shard, *arguments)
        return Link(*row) if row else None

    async def _find_chunk_end(self, first: int) -> int | None:
        end: int | None = await self._connection.fetchval(
            load_sql("meter", "find_chunk_end"), self._shard, first, CHUNK_ROWS, CHUNK_BATCHES
        )
        return end

    async def _read(self, first: int, last: int) -> Iterable[BatchRow | Unreadable]:
        try:
            async with self._connection.transaction():  # a savepoint: the snapshot survives an error
                return await hash_batches(self._connection, self._shard, first, last)
        except UNREADABLE as error:
            if first < last:
                middle = (first + last) // 2
                return [*await self._read(first, middle), *await self._read(middle + 1, last)]
            if isinstance(error, asyncpg.QueryCanceledError):
                raise  # a server this slow is no damage
            return [Unreadable(first, explain(error))]

    async def _find_strays(self, link: Link) -> list[Finding]:
        if not link.hash:
            return []  # where the log ends is not known
        rows = await self._connection.fetch(
            load_sql("meter", "find_strays"), self._shard, link.position, link.usage, link.accounts
        )
        return check_strays(self._shard, [(row["place"], row["at"]) for row in rows])

    async def _find_wrong_links(self, link: Link) -> list[Finding]:
        """Worked out again from the events, which the chain vouches for."""
        if not link.hash:
            return []
        rows = await self._connection.fetch(load_sql("meter", "find_wrong_links"), self._shard, link.position)
        return check_links(self._shard, [(row["position"], row["why"]) for row in rows])
