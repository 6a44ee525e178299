"""Reads batches together with the hash that their rows give now.

The events of many batches come as one binary COPY stream, the cheapest form in which Postgres hands rows out, and
are hashed without a look at the rows. The stream is cut where the first row of the next batch begins. Changed rows,
or a row that holds the same bytes by chance, can have it cut in the wrong place: a batch whose hash is not the sealed
one is read again alone, where there is nothing to cut.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Final, Protocol

import asyncpg

from meter.runtime.postgres import Executor, load_sql
from meter.store.check import BatchRow
from meter.store.layout import CHAIN_VERSION, COPY_HEADER, COPY_TRAILER, mark_row, start_row

MARK_BYTES = len(mark_row(0))
HELD_BYTES = MARK_BYTES - 1  # a mark may lie across two pieces; more than the trailer has

# Postgres sends 8 kB at a time. Taking each over at once costs more than hashing it, here and in wake-ups there; what
# it sends during a short pause gathers in the kernel and comes as one piece.
FULL_PIECE = 128 * 1024
PAUSE_S = 0.001

# Statements that copy events: of chains after version 2, and of version 2. Accounts that moved have taken theirs along.
COPIES = ("copy_events", "copy_old_events")
MOVED_COPIES = ("copy_moved_events", "copy_old_moved_events")


HASH_BYTES: Final = 32
# By whether events are opened, and whether the chain is of version 2.
STATEMENTS: Final = {
    (False, False): "copy_events",
    (False, True): "copy_old_events",
    (True, False): "copy_former_events",
    (True, True): "copy_former_old_events",
}

Opened = tuple[list[int], list[str]]  # positions and data of events


class Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...


async def hash_batches(connection: Executor, shard: int, first: int, last: int) -> list[BatchRow]:
    """The batches of a range that are there, in order."""
    batches = await connection.fetch(load_sql("meter", "fetch_batches"), shard, first, last)
    copies = MOVED_COPIES if await connection.fetchval(load_sql("meter", "has_moved"), shard) else COPIES
    rows: list[BatchRow] = []
    for version, run in groupby(batches, key=itemgetter("chain_version")):
        statement = load_sql("meter", copies[version == 2])
        rows += await hash_run(connection, shard, list(run), statement)
    return rows


async def hash_run(
    connection: Executor, shard: int, batches: Sequence[asyncpg.Record], statement: str
) -> list[BatchRow]:
    """Batches that follow one another and are chained by the same version."""
    together = are_dense(batches)
    hashes = await hash_events(connection, shard, batches, statement) if together else [b""] * len(batches)
    for index, batch in enumerate(batches):
        if hashes[index] != batch["sealed_hash"]:
            [hashes[index]] = await hash_events(connection, shard, [batch], statement)
    return [BatchRow(now, *batch[3:]) for now, batch in zip(hashes, batches, strict=True)]


def are_dense(batches: Sequence[asyncpg.Record]) -> bool:
    """Whether the positions of the batches are contiguous, so that one range holds exactly their rows."""
    rows = sum(batch["event_rows"] for batch in batches)
    return bool(batches) and rows == batches[-1]["last_position"] - batches[0]["first_position"] + 1


async def hash_events(
    connection: Executor, shard: int, batches: Sequence[asyncpg.Record], statement: str
) -> list[bytes]:
    """The hashes of the batches of a run, whose events `statement` copies."""
    version = batches[0]["chain_version"]
    digests = [sha256(batch["head"]) for batch in batches]
    filled = [(batch, digest) for batch, digest in zip(batches, digests, strict=True) if batch["event_rows"]]
    if filled:
        first, last = filled[0][0]["first_position"], filled[-1][0]
        stream = Cutter(((mark_row(batch["first_position"], version), digest) for batch, digest in filled), version)
        end = last["first_position"] + last["event_rows"] - 1
        await connection.copy_from_query(statement, shard, first, end, output=stream.take, format="binary")
        stream.finish()
    for batch, digest in zip(batches, digests, strict=True):
        digest.update(batch["evidence"])
    return [digest.digest() for digest in digests]


async def hash_batch(
    connection: Executor, shard: int, batch: asyncpg.Record, previous: bytes, opened: Opened | None = None
) -> bytes:
    """As if it followed a batch with this hash; with `opened`, as if these events had these data."""
    head = batch["head"]
    digest = sha256(head[:1] + previous + head[1 + HASH_BYTES :])
    if batch["event_rows"]:
        rows = bytearray()

        async def take(piece: bytes) -> None:
            rows.extend(piece)

        first, old = batch["first_position"], batch["chain_version"] == 2
        arguments = (shard, first, first + batch["event_rows"] - 1, *(opened or ()))
        statement = load_sql("meter", STATEMENTS[opened is not None, old])
        await connection.copy_from_query(statement, *arguments, output=take, format="binary")
        digest.update(memoryview(rows)[len(COPY_HEADER) : -len(COPY_TRAILER)])
    digest.update(batch["evidence"])
    return digest.digest()


class Cutter:
    """Takes a binary COPY stream in pieces and gives each batch's rows to its digest; holds a piece at most."""

    def __init__(self, batches: Iterable[tuple[bytes, Digest]], version: int = CHAIN_VERSION) -> None:
        """Batches in order: how their first row begins, and what takes their bytes."""
        self._row_start = start_row(version)
        self._following = deque(batches)
        _, self._digest = self._following.popleft()
        self._held = b""
        self._at = len(COPY_HEADER)

    async def take(self, piece: bytes) -> None:
        self.add(piece)
        if len(piece) < FULL_PIECE:
            await asyncio.sleep(PAUSE_S)

    def add(self, piece: bytes) -> None:
        data = self._held + piece
        end = len(data) - HELD_BYTES
        if end > self._at:
            at = self._pass_marks(data)
            self._digest.update(memoryview(data)[at:end])
            data, self._at = data[end:], 0
        self._held = data

    def finish(self) -> None:
        self._digest.update(memoryview(self._held)[self._at : -len(COPY_TRAILER)])

    def _pass_marks(self, data: bytes) -> int:
        """Marks rise from row to row, so the last one tells whether there is anything to search for."""
        at = self._at
        last = data.rfind(self._row_start, 0, len(data) - MARK_BYTES + len(self._row_start))
        mark = data[last : last + MARK_BYTES]
        while self._following and self._following[0][0] <= mark and (cut := data.find(self._following[0][0], at)) >= 0:
            self._digest.update(memoryview(data)[at:cut])
            _, self._digest = self._following.popleft()
            at = cut
        return at
