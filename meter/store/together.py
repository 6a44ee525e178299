"""Small batches of several shards in one transaction: what all of them have is one statement.

A statement costs more than the few rows of a small batch, on both sides. The rows, the order inside the transaction and
the hashes are those of `append_batch`, which also takes every batch with records of accounts or names.
"""

from collections.abc import Mapping, Sequence

from meter.bounds import bound_evidence
from meter.content import Content
from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import Executor, transpose
from meter.settle import settle
from meter.store.batches import (
    Known,
    append_batch,
    append_evidence,
    copy_rows,
    copy_to_events,
    find_known,
    make_header,
    sql,
    stored_content,
    to_appended,
)
from meter.store.evidence import duplicate_rows
from meter.store.keys import has_personal
from meter.store.layout import (
    CHAIN_VERSION,
    COPY_HEADER,
    COPY_TRAILER,
    BatchHeader,
    chain_hash,
    encode_rows,
    rows_of,
)
from meter.store.port import Appended, Head
from schemas.rows import keys_of

Heads = Mapping[int, Head]  # by shard


async def append_batches(connection: Executor, plans: Sequence[AppendPlan]) -> list[Appended]:
    """A batch each of different shards, inside the caller's transaction; in the order of the plans."""
    alike = [plan for plan in plans if needs_rows_alone(plan)]
    appended = await append_alike(connection, alike) if len(alike) > 1 else {}
    return [appended.get(plan.shard) or await append_batch(connection, plan, copy_rows) for plan in plans]


def needs_rows_alone(plan: AppendPlan) -> bool:
    """Whether the batch opens nothing, corrects nothing and names nobody: all its records are of usage, and none of an
    item, whose owner is sealed."""
    return plan.following.accounts == plan.expected.accounts and not has_personal(plan)


async def append_alike(connection: Executor, plans: Sequence[AppendPlan]) -> Mapping[int, Appended]:
    heads = await advance_shards(connection, plans)
    await fault_point("after_compare_and_set")
    known = await find_known_of_all(connection, plans, heads)
    settled = [settle(plan, known[plan.shard]) for plan in plans]
    streams = [encode_rows(p.rows, p.shard, heads[p.shard].next_position, p.recorded_at) for p in settled]
    await fault_point("in_copy")
    rows = b"".join(map(rows_of, streams))
    if rows:
        await copy_to_events(connection, COPY_HEADER + rows + COPY_TRAILER)
    bound = [bound_evidence(plan) for plan in settled]
    repeats = await append_repeats(connection, bound)
    headers = [
        make_header(plan, heads[plan.shard], await append_evidence(connection, plan, repeats.get(plan.shard)))
        for plan in bound
    ]
    hashes = await seal_batches(connection, headers, heads, streams)
    return {
        header.shard: to_appended(header, plan, heads[header.shard], sealed)
        for header, plan, sealed in zip(headers, bound, hashes, strict=True)
    }


async def advance_shards(connection: Executor, plans: Sequence[AppendPlan]) -> Heads:
    asked = [(plan.shard, *plan.expected, *plan.following) for plan in plans]
    heads = {shard: Head(*head) for shard, *head in await connection.fetch(sql("advance_shards"), *transpose(asked, 5))}
    if lost := sorted({plan.shard for plan in plans} - heads.keys()):
        raise OwnershipLostError(
            f"another transaction holds one of the shards {lost}, or they no longer expect these offsets",
            dependency="postgres",
        )
    return heads


async def find_known_of_all(connection: Executor, plans: Sequence[AppendPlan], heads: Heads) -> Mapping[int, Known]:
    """By shard, what is stored already under the identities of its rows."""
    if any(head.has_old for head in heads.values()):
        return {plan.shard: await find_known(connection, plan, heads[plan.shard]) for plan in plans}
    asked = [(plan.shard, keys_of(plan.rows)) for plan in plans]
    known: dict[int, dict[bytes, Content]] = {plan.shard: {} for plan in plans}
    for row in await connection.fetch(sql("find_known_of_shards"), *transpose(asked, 2)):
        known[row["shard"]][row["event_key"]] = stored_content(row)
    return known


async def append_repeats(connection: Executor, plans: Sequence[AppendPlan]) -> Mapping[int, bytes]:
    """Frequent where producers try again; returns the digest of each shard's rows, of those that have some."""
    rows = [(plan.shard, plan.recorded_at, *row) for plan in plans for row in duplicate_rows(plan.repeats)]
    if not rows:
        return {}
    digests = await connection.fetch(sql("append_duplicates_of_shards"), *transpose(rows, len(rows[0])))
    return {row["shard"]: row["sha256"] for row in digests}


async def seal_batches(
    connection: Executor, headers: Sequence[BatchHeader], heads: Heads, streams: Sequence[bytes]
) -> list[bytes]:
    """Returns their hashes."""
    rows = []
    for header, stream in zip(headers, streams, strict=True):
        previous = heads[header.shard].hash
        rows.append((*header, CHAIN_VERSION, previous, chain_hash(previous, header, rows_of(stream))))
    await connection.execute(sql("seal_batches"), *transpose(rows, len(BatchHeader._fields) + 3))
    return [sealed for *_, sealed in rows]
