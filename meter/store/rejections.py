"""Rejections as people look at them, and the note that one was replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from meter.runtime.clock import Clock
from meter.runtime.postgres import Pool, load_sql, write_transaction
from meter.store.evidence import decode_headers
from meter.whose import find_account
from schemas.records import Limits, Record, Rejected

MOST_LOOKED_AT: Final = 20_000  # records without a key, to find those of an account
LOOKED_AT_ONCE: Final = 500  # of 16 KB at most each
MOST_READ_BYTES: Final = 16_384  # of a record without a key, to find out whose it is: a list may have many


class RejectionLine(NamedTuple):
    """One line of a list."""

    rejection_id: int
    topic: str
    shard: int
    offset: int
    reason: str
    detail: str
    recorded_at: datetime
    replays: int
    records: int
    dismissed: str | None  # why
    account_id: str | None = None  # as far as the record says it


class Rejection(NamedTuple):
    """Everything known about one rejected record, its bytes among it."""

    rejection_id: int
    shard: int
    topic: str
    offset: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    kafka_timestamp: datetime | None
    recorded_at: datetime
    to_offset: int | None  # the first offset behind it, where it stands for several records
    original_bytes: int | None  # of the whole, where only its beginning is kept
    original_sha256: bytes | None
    packed: bool = False  # whether the value holds the records of several offsets


class Replay(NamedTuple):
    rejection_id: int
    replayed_by: str
    replayed_at: datetime
    landed: list[tuple[int, int]] | None  # shard and offset of each record that was sent; None where that is not known


class Dismissal(NamedTuple):
    """That a person has dealt with a rejection."""

    rejection_id: int
    reason: str
    dismissed_by: str
    dismissed_at: datetime


class DismissedError(Exception):
    """Nothing was dismissed, for some were before."""

    def __init__(self, before: Sequence[Dismissal]) -> None:
        super().__init__(f"dismissed before: {len(before)}")
        self.before = before


class RecordOutcome(NamedTuple):
    """What became of a record: stored, duplicate, waiting, rerouted, or rejected, with the rejection; pruned where
    nobody can say any more."""

    outcome: str
    rejection_id: int | None
    reason: str | None
    detail: str | None
    shard: int | None = None
    position: int | None = None  # of its event, where it is stored with the batch that read it


class Rejections:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def foresee(self, records: Sequence[Record], now: datetime, limits: Limits) -> dict[int, Rejected]:
        """What would be rejected for what is stored, by the record's number."""
        from meter.store.foresee import foresee_rejections  # only what sends asks, and it loads the Kafka client anyway

        return await foresee_rejections(self._pool, records, now, limits)

    async def find_outcomes(self, topic: str, landed: Sequence[tuple[int, int]]) -> list[RecordOutcome] | None:
        """Of records at these shards and offsets, in order; None until all of them are read."""
        found = [outcome for outcome in await self.list_outcomes(topic, landed) if outcome is not None]
        return found if len(found) == len(landed) else None

    async def list_outcomes(self, topic: str, landed: Sequence[tuple[int, int]]) -> list[RecordOutcome | None]:
        """In order; None for one that is not read yet."""
        found: dict[tuple[int, int], Any] = {}
        for shard in {shard for shard, _ in landed}:
            offsets = [offset for its, offset in landed if its == shard]
            rows = await self._pool.fetch(load_sql("meter", "find_outcomes"), shard, topic, offsets)
            found |= {(shard, offset): row for offset, row in zip(offsets, rows, strict=True)}
        return [None if row["outcome"] is None else RecordOutcome(*row) for row in map(found.__getitem__, landed)]

    async def list_rejections(
        self,
        *,
        reason: str | None = None,
        topic: str | None = None,
        account: str | None = None,
        limit: int = 50,
        pending: bool = False,
        dismissed: bool = False,
    ) -> list[RejectionLine]:
        """Newest first; `pending` leaves out those that were replayed, `account` those with another Kafka key.
        Dismissed ones are left out unless asked for."""
        return await self._list(reason, topic, limit, pending, account, dismissed, False, None)

    async def list_without_key(
        self,
        account: str,
        *,
        reason: str | None = None,
        topic: str | None = None,
        limit: int = 50,
        pending: bool = False,
        dismissed: bool = False,
    ) -> tuple[list[RejectionLine], datetime | None]:
        """Those whose event is the account's, newest first, of the newest that have no key. The time is that of the
        oldest that was looked at; None where all were, or enough were found."""
        found: list[RejectionLine] = []
        before: int | None = None
        for _ in range(MOST_LOOKED_AT // LOOKED_AT_ONCE):
            lines = await self._list(reason, topic, LOOKED_AT_ONCE, pending, None, dismissed, True, before)
            found += [line for line in lines if line.account_id == account]
            if len(lines) < LOOKED_AT_ONCE or len(found) >= limit:
                return found[:limit], None
            before = lines[-1].rejection_id
        return found, lines[-1].recorded_at

    async def _list(self, *arguments: object) -> list[RejectionLine]:
        """`arguments` are those of the statement, without the bound of what is read."""
        *first, is_keyless, before = arguments
        statement = load_sql("meter", "list_rejections")
        rows = await self._pool.fetch(statement, *first, MOST_READ_BYTES, is_keyless, before)
        return [RejectionLine(*row[:10])._replace(account_id=account_of(dict(row))) for row in rows]

    async def fetch_rejections(self, ids: list[int]) -> list[Rejection]:
        rows = await self._pool.fetch(load_sql("meter", "fetch_rejections"), ids)
        return [Rejection(*row)._replace(headers=decode_headers(row["headers"])) for row in rows]

    async def list_replays(self, ids: Sequence[int]) -> list[Replay]:
        """Oldest first."""
        rows = await self._pool.fetch(load_sql("meter", "list_replays"), ids)
        return [read_replay(dict(row)) for row in rows]

    async def append_replay(
        self, rejection_id: int, replayed_by: str, clock: Clock, landed: Sequence[tuple[int, int]]
    ) -> None:
        """`landed`: shard and offset of each record. Where the broker did not say an offset, none is noted."""
        known = bool(landed) and all(offset >= 0 for _, offset in landed)
        shards, offsets = [list(column) for column in zip(*landed, strict=True)] if known else (None, None)
        statement = load_sql("meter", "append_replay")
        await self._pool.execute(statement, rejection_id, replayed_by, clock.now(), shards, offsets)

    async def fetch_dismissals(self, ids: list[int]) -> list[Dismissal]:
        return [Dismissal(*row) for row in await self._pool.fetch(load_sql("meter", "fetch_dismissals"), ids)]

    async def append_dismissals(self, ids: list[int], reason: str, dismissed_by: str, clock: Clock) -> None:
        """All of them or none: raises DismissedError where another was first with some, or some are gone."""
        async with self._pool.acquire() as connection, write_transaction(connection):
            statement = load_sql("meter", "append_dismissals")
            rows = await connection.fetch(statement, ids, reason, dismissed_by, clock.now())
            if others := set(ids) - {row["rejection_id"] for row in rows}:
                rows = await connection.fetch(load_sql("meter", "fetch_dismissals"), sorted(others))
                raise DismissedError([Dismissal(*row) for row in rows])


def account_of(row: Mapping[str, Any]) -> str | None:
    return find_account(row["key"], row["value"], decode_headers(row["headers"] or "[]"))


def read_replay(row: Mapping[str, Any]) -> Replay:
    shards, offsets = row["landed_shards"], row["landed_offsets"]
    landed = None if shards is None else list(zip(shards, offsets, strict=True))
    return Replay(row["rejection_id"], row["replayed_by"], row["replayed_at"], landed)
