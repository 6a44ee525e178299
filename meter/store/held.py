"""What is stored of usage that reversals wait for: how far each partition is read, and what is still to be sent on."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from meter.held import (
    Due,
    Held,
    Unsent,
    UsageOffsets,
    count_left,
    describe_wait,
    find_due,
    find_left,
    find_read,
    is_read,
    is_sent_on,
)
from meter.runtime.postgres import Executor, Pool, load_sql, transpose
from meter.tails import Tails
from schemas.topics import USAGE

MOST_HELD: Final = 500  # of one shard in one look
MOST_DUE: Final = 500  # of all: originals of 64 KB at most


async def fetch_usage_offsets(connection: Executor | Pool) -> UsageOffsets:
    rows = await connection.fetch(load_sql("meter", "fetch_usage_offsets"))
    return {row["shard"]: row["usage_offset"] for row in rows}


async def find_unsent(connection: Executor | Pool, partitions: Collection[int]) -> Unsent:
    rows = await connection.fetch(load_sql("meter", "find_unsent"), USAGE, sorted(partitions))
    return {(row["shard"], row["partition"]): row["kafka_offset"] for row in rows}


async def is_here(connection: Executor | Pool, shard: int, usage_ends: Sequence[int], tails: Tails) -> bool:
    """Whether the usage below these ends of the other partitions is stored, and what of it belongs to the shard has
    been sent to it. Asked outside the batch's transaction, which names one shard alone."""
    others = [0 if partition == shard else end for partition, end in enumerate(usage_ends)]
    if not is_read(others, tails.pass_over(await fetch_usage_offsets(connection))):
        return False
    return is_sent_on(shard, others, await find_unsent(connection, [shard]))


async def list_due(tails: Tails, connection: Executor, shards: Sequence[int]) -> tuple[list[object], ...]:
    """Of the reversals that wait in these shards those that are due, as arguments of `fetch_outbox`. Leaves in `tails`
    what the others wait for."""
    held = [Held(*row) for row in await connection.fetch(load_sql("meter", "list_held"), shards, MOST_HELD)]
    due: list[Due] = []
    offsets: UsageOffsets = {}
    if held:
        offsets = tails.pass_over(await fetch_usage_offsets(connection))
        read = {each.shard for each in find_read(held, offsets)}
        due = find_due(held, offsets, await find_unsent(connection, read) if read else {})
    tails.want(find_left(held, offsets))
    return transpose([(*each[:2], each.seen.value) for each in due[:MOST_DUE]], len(Due._fields))


class WaitingLine(NamedTuple):
    """One line of a list: a reversal, the usage it names, and what it waits for."""

    account_id: str
    event_id: str
    reverses: str
    shard: int
    kafka_offset: int
    usage_left: int
    recorded_at: datetime
    state: str


async def list_waiting(
    connection: Executor | Pool, account: str | None, *, everything: bool, limit: int
) -> list[WaitingLine]:
    """Newest first; `everything`: also those that were sent again."""
    rows = await connection.fetch(load_sql("meter", "list_waiting"), account, everything, limit)
    offsets = await fetch_usage_offsets(connection)
    unsent = await find_unsent(connection, {row["shard"] for row in rows if row["waits"]})
    return [describe_row(dict(row), offsets, unsent) for row in rows]


def describe_row(row: Mapping[str, Any], offsets: UsageOffsets, unsent: Unsent) -> WaitingLine:
    held = Held(row["shard"], row["kafka_offset"], row["usage_end"], row["usage_ends"], is_overdue=False)
    left = count_left(held, offsets) if row["waits"] else 0
    state = f"waits for {describe_wait(held, offsets, unsent)}" if row["waits"] else "sent again"
    names = row["account_id"], row["event_id"], row["reverses"], row["shard"], row["kafka_offset"]
    return WaitingLine(*names, left, row["recorded_at"], state)
