"""Small batches of usage in one statement, which is its own transaction: at a low load the round trips cost most.

It is the transaction of `batches.py` and `together.py` for what needs no more: no evidence, no records of accounts,
nobody's name.
The chain needs the head of the shard before the statement is sent, so this is for a writer that knows it from its
batch before; the statement takes nothing in where the log does not stand there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from meter.plan import AppendPlan
from meter.runtime.postgres import Executor, commit_alone, transpose
from meter.store.batches import make_header, sql, to_appended
from meter.store.layout import CHAIN_VERSION, BatchHeader, chain_hash, encode_rows, rows_of
from meter.store.port import Appended, Head
from meter.store.together import needs_rows_alone
from schemas.identity import FIRST_UUID_KEY

# Above, the arrays cost more than the round trips that they save.
MOST_ROWS: Final = 100
MOST_BYTES: Final = 1_000_000  # of their encoding: that of COPY and the arrays are in memory at the same time


class Prepared(NamedTuple):
    """Parameters of the statement, and what the batches become with it."""

    columns: tuple[Sequence[Any], ...]
    appended: list[Appended]


def are_small(plans: Sequence[AppendPlan]) -> bool:
    """Whether all there is to store are a few events of usage."""
    return sum(len(plan.rows) for plan in plans) <= MOST_ROWS and all(map(is_plain, plans))


def is_plain(plan: AppendPlan) -> bool:
    evidence = plan.again or plan.repeats or plan.rejections or plan.rerouted or plan.gaps or plan.waiting
    return bool(plan.rows) and not evidence and needs_rows_alone(plan)


async def append_at_once(
    connection: Executor, plans: Sequence[AppendPlan], heads: Sequence[Head]
) -> list[Appended] | None:
    """Batches of different shards (`are_small`), on a connection without a transaction; `heads` are taken to be theirs.

    None: nothing is written. Raises UnstorableError, and what Postgres says of a row that it refuses.
    """
    prepared = prepare(plans, heads)
    if prepared is None or not await commit_alone(connection, sql("append_at_once"), *prepared.columns):
        return None
    return prepared.appended


def prepare(plans: Sequence[AppendPlan], heads: Sequence[Head]) -> Prepared | None:
    """None where it takes too many bytes. Raises UnstorableError."""
    streams = [
        encode_rows(plan.rows, plan.shard, head.next_position, plan.recorded_at)
        for plan, head in zip(plans, heads, strict=True)
    ]
    if sum(map(len, streams)) > MOST_BYTES:
        return None
    headers = [make_header(plan, head, b"") for plan, head in zip(plans, heads, strict=True)]
    hashes = [
        chain_hash(head.hash, header, rows_of(stream))
        for header, head, stream in zip(headers, heads, streams, strict=True)
    ]
    sealed = [
        (*header, CHAIN_VERSION, head.hash, chained)
        for header, head, chained in zip(headers, heads, hashes, strict=True)
    ]
    return Prepared(
        (*transpose(sealed, len(BatchHeader._fields) + 3), *event_columns(plans, heads)),
        list(map(to_appended, headers, plans, heads, hashes)),
    )


def event_columns(plans: Sequence[AppendPlan], heads: Sequence[Head]) -> tuple[Sequence[Any], ...]:
    """In the order of the statement. As `encode_rows` has it, a UUID has no id beside its key."""
    placed = [
        (plan.shard, position)
        for plan, head in zip(plans, heads, strict=True)
        for position in range(head.next_position, head.next_position + len(plan.rows))
    ]
    events = [row for plan in plans for row in plan.rows]
    _topics, offsets, ids, accounts, types, resources, amounts, names, times, sources, data, extensions, keys = zip(
        *events, strict=True
    )
    own_ids = [None if key >= FIRST_UUID_KEY else id for id, key in zip(ids, keys, strict=True)]
    # As text, which takes the driver a third of the time of a time each.
    moments = "{" + ",".join(map(datetime.isoformat, times)) + "}"
    return (
        *transpose(placed, 2),
        *(offsets, own_ids, accounts, types, resources, amounts, names, moments, sources, data, extensions, keys),
    )
