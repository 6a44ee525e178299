"""An account's events of usage, with their ids. Reads only.

The log has no index of usage by account: it would be dearer than all others together. So the newest part of the
account's shard is looked through, a piece at a time, and the answer says how far.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from meter.runtime.postgres import Pool, load_sql
from schemas.amounts import MICRO
from schemas.codes import TYPES_BY_CODE
from schemas.resources import RESOURCE_CODES, RESOURCES_BY_CODE
from schemas.topics import partition_for

PIECE_EVENTS: Final = 100_000  # of one statement: some tenths of a second
# An event may be stored before its own `time`: the clock of a producer may be ahead, by an hour at most by default.
CLOCKS_DIFFER: Final = timedelta(hours=2)


class UsageLine(NamedTuple):
    """One event, in credits or runs."""

    occurred_at: datetime
    event_id: str
    source: str
    resource: str
    kind: str
    name: str
    amount: Decimal
    reversed: Decimal


class Looked(NamedTuple):
    """What was looked through: so many events of the shard, the oldest of them stored at that time; `is_all`: nothing
    older can be meant."""

    shard: int
    events: int
    oldest: datetime | None
    is_all: bool


class Piece(NamedTuple):
    first: int
    last: int


def pieces(last: int, most: int) -> list[Piece]:
    """From the newest position backwards, `most` in all."""
    end = max(0, last - most)
    return [Piece(max(end, at - PIECE_EVENTS) + 1, at) for at in range(last, end, -PIECE_EVENTS)]


async def find_account_usage(
    pool: Pool, account_id: str, *, resource: str | None, since: datetime | None, limit: int, most: int
) -> tuple[list[UsageLine], Looked]:
    """The newest `limit` events, newest first, among the newest `most` of the shard."""
    shard = partition_for(account_id.encode(), await pool.fetchval(load_sql("meter", "count_shards")) or 1)
    last = await pool.fetchval(load_sql("meter", "fetch_last_position"), shard) or 0
    code = next((code for name, code in RESOURCE_CODES.items() if name == resource), None)
    lines: list[UsageLine] = []
    oldest, is_over, first = None, last == 0, last + 1
    for piece in pieces(last, most):
        arguments = (shard, *piece, account_id, code, since, limit - len(lines))
        lines += [to_line(*row) for row in await pool.fetch(load_sql("meter", "find_account_usage"), *arguments)]
        oldest, first = await pool.fetchval(load_sql("meter", "fetch_recorded_at"), shard, piece.first), piece.first
        is_over = first == 1 or (since is not None and oldest < since - CLOCKS_DIFFER)
        if is_over or len(lines) >= limit:
            break
    return lines, Looked(shard, last - first + 1, oldest, is_over and len(lines) < limit)


def to_line(
    occurred_at: datetime, event_id: str, source: str, resource: int, type: int, name: str, amount: int, reversed: int
) -> UsageLine:
    kind = TYPES_BY_CODE[type].split(".")[1]
    amounts = Decimal(amount) / MICRO, Decimal(reversed) / MICRO
    return UsageLine(occurred_at, event_id, source, RESOURCES_BY_CODE[resource].value, kind, name, *amounts)
