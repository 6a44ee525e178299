"""One batch of one shard, appended inside the caller's transaction.

The order is the point: the compare-and-set on the shard's offsets comes first, so a writer that lost the shard changes
nothing, and everything after it happens under the shard's row lock.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from meter.bounds import bound_evidence, weigh_evidence, without_copies
from meter.content import Content
from meter.corrections import settle_corrections
from meter.openings import Opening, accounts_opened
from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError, explain
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import Executor, load_sql, transpose, tried
from meter.runtime.postgres.failures import has_no_room
from meter.sealing import unseal
from meter.settle import find_faults, list_taken, list_tries, settle, without_granted
from meter.store.bisect import Fault, Refusal, find_refused
from meter.store.corrections import append_links, fetch_facts
from meter.store.evidence import (
    duplicate_rows,
    gap_columns,
    moved_columns,
    rejection_columns,
    rerouted_columns,
    waiting_columns,
)
from meter.store.keys import forget_accounts, leave_out_forgotten, seal_rows
from meter.store.layout import (
    CHAIN_VERSION,
    EVENT_COLUMNS,
    BatchHeader,
    UnstorableError,
    chain_hash,
    encode_rows,
    rows_of,
)
from meter.store.port import Appended, Head
from meter.store.remarks import append_remarks
from schemas.events import INPUT_TYPES, TYPES_BY_CODE
from schemas.identity import identity_key, is_uuid
from schemas.records import Accepted
from schemas.rows import keys_of
from schemas.times import say_time

IDENTITY_INDEX = re.compile(r"events_identity(_\d+)?")  # Citus adds the number of the part

# The data's fault, not the server's (unless `has_no_room`): the batch is tried again with the culprits left out.
UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,
    UnstorableError,
)
REFUSED = (*UNSTORABLE, asyncpg.UniqueViolationError)


Known = Mapping[bytes, Content]
# Takes the rows in; returns the plan as it was carried out, and the COPY stream.
Writer = Callable[[Executor, AppendPlan, Known, Head], Awaitable[tuple[AppendPlan, bytes]]]


async def append_batch(connection: Executor, plan: AppendPlan, write: Writer) -> Appended:
    """One batch of one shard, inside the caller's transaction."""
    head = await advance_shard(connection, plan)
    await fault_point("after_compare_and_set")
    plan = await leave_out_granted(connection, await leave_out_forgotten(connection, plan))
    known = await find_known(connection, plan, head)
    plan, stream = await write(connection, plan, known, head)
    plan = bound_evidence(plan)
    evidence = await append_evidence(connection, plan)
    if plan.following.accounts != plan.expected.accounts:  # most batches have usage alone
        await append_remarks(connection, plan, await append_openings(connection, plan, head), head.next_position)
    await forget_accounts(connection, plan)  # behind the remarks, which compare what came before with its names
    return await seal_batch(connection, plan, head, stream, evidence)


async def advance_shard(connection: Executor, plan: AppendPlan) -> Head:
    row = await connection.fetchrow(sql("advance_shard"), plan.shard, *plan.expected, *plan.following)
    if row is None:
        raise OwnershipLostError(
            f"another transaction holds shard {plan.shard}, or it no longer expects offsets "
            f"{plan.expected.usage} (usage) and {plan.expected.accounts} (accounts)",
            dependency="postgres",
        )
    return Head(*row)


async def leave_out_granted(connection: Executor, plan: AppendPlan) -> AppendPlan:
    """The plan without free grants of accounts that are open already. Asked of batches with openings alone."""
    if not plan.derived:
        return plan
    openings = (*plan.rows, *plan.again, *plan.corrections)
    rows = await connection.fetch(sql("find_opened"), plan.shard, accounts_opened(openings))
    return without_granted(plan, {row["account_id"] for row in rows})


async def find_known(connection: Executor, plan: AppendPlan, head: Head) -> Known:
    """What is stored already under the identities of the plan's rows and corrections."""
    asked = (*plan.rows, *plan.corrections) if plan.corrections else plan.rows
    return await fetch_known(connection, plan.shard, asked, has_old=head.has_old)


async def fetch_known(connection: Executor, shard: int, rows: Sequence[Accepted], *, has_old: bool) -> Known:
    if not rows:
        return {}
    keys = keys_of(rows)
    known = {row["event_key"]: stored_content(row) for row in await connection.fetch(sql("find_known"), shard, keys)}
    ids = ",".join([row.event_id for row in rows if is_uuid(row.event_id)]) if has_old else ""
    if ids:
        for row in await connection.fetch(sql("find_known_old"), shard, "{" + ids + "}"):
            topic = INPUT_TYPES[TYPES_BY_CODE[row["type"]]].topic
            known[identity_key(topic, row["account_id"], row["source"], row["event_id"])] = stored_content(row)
    return known


def stored_content(row: asyncpg.Record) -> Content:
    place = f"position {row['position']}, recorded {say_time(row['recorded_at'])}"
    data = unseal(row["type"], row["data"], row["account_id"], row["key"])
    return Content(row["type"], row["resource"], row["amount"], row["name"], data, place)


async def copy_rows(connection: Executor, plan: AppendPlan, known: Known, head: Head) -> tuple[AppendPlan, bytes]:
    """The usual way: every row is good."""
    return await copy_settled(connection, await settle_all(connection, settle(plan, known), known, head), head)


async def settle_all(connection: Executor, settled: AppendPlan, known: Known, head: Head) -> AppendPlan:
    """Judge the corrections as well, and what follows them; the other events of the plan are settled."""
    facts = await fetch_facts(connection, settled)
    return settle_corrections(settled, facts, known, head.next_position)


async def copy_settled(connection: Executor, plan: AppendPlan, head: Head) -> tuple[AppendPlan, bytes]:
    rows = await seal_rows(connection, plan)
    stream = encode_rows(rows, plan.shard, head.next_position, plan.recorded_at)
    await fault_point("in_copy")
    if plan.rows:
        await copy_to_events(connection, stream)
    await append_links(connection, plan)
    return plan, stream


def is_of_identity(error: asyncpg.UniqueViolationError) -> bool:
    """Whether the event is known. Else a position is taken: the log is damaged, nothing may hide it."""
    return IDENTITY_INDEX.fullmatch(error.constraint_name or "") is not None


async def copy_accepted_rows(
    connection: Executor, plan: AppendPlan, known: Known, head: Head
) -> tuple[AppendPlan, bytes]:
    """After a refusal: find the culprits, each try in a savepoint, and take the rest in.

    All that may become rows is tried, so events are judged once, knowing which of them the database takes.
    """

    async def attempt(rows: Sequence[Any]) -> Refusal | None:
        try:
            stream = encode_rows(rows, plan.shard, head.next_position, plan.recorded_at)
            await try_copy(connection, stream)
        except asyncpg.UniqueViolationError as error:
            if not is_of_identity(error):
                raise
            return Refusal(Fault.KNOWN, "")
        except UNSTORABLE as error:
            if has_no_room(error):  # the server's, not the event's
                raise
            return Refusal(Fault.UNSTORABLE, f"the database refused the event: {explain(error)}")
        return None

    refused: list[tuple[Accepted, Refusal]] = []
    judged: set[bytes] = set()  # identities of which no other event can become a row
    for tries in list_tries(plan, known):
        events = [event for event in tries if event.key not in judged]
        # Sealed as well: a row that is taken back stays in the server's files, and in its WAL.
        sealed = await seal_rows(connection, replace(plan, rows=tuple(events)))
        unsealed = dict(zip(map(id, sealed), events, strict=True))
        found = [(unsealed[id(row)], refusal) for row, refusal in await find_refused(sealed, attempt)]
        judged |= list_taken(plan, events, {event for event, refusal in found if refusal.fault is Fault.UNSTORABLE})
        refused += found
    missed = [event for event, refusal in refused if refusal.fault is Fault.KNOWN]
    whys = {event: refusal.detail for event, refusal in refused if refusal.fault is Fault.UNSTORABLE}
    plan = replace(plan, faults=find_faults(plan, known, whys))
    known = {**known, **await fetch_known(connection, plan.shard, missed, has_old=False)}
    return await copy_settled(connection, await settle_all(connection, settle(plan, known), known, head), head)


async def try_copy(connection: Executor, stream: bytes) -> None:
    """COPY inside a savepoint that is always rolled back."""
    async with tried(connection):
        await copy_to_events(connection, stream)


async def copy_to_events(connection: Executor, stream: bytes) -> None:
    await connection.copy_to_table(
        "events",
        schema_name="meter",
        columns=EVENT_COLUMNS,
        source=memoryview(stream),  # type: ignore[arg-type]  # bytes would be taken for a path
        format="binary",
    )


async def append_evidence(connection: Executor, plan: AppendPlan, repeats: bytes | None = None) -> bytes:
    """What did not become events; returns the digests of these rows, in order, for the chain.

    `repeats` is the digest of the plan's repeats, where they are stored already.
    """
    digests: list[bytes] = [] if repeats is None else [repeats]
    if plan.repeats and repeats is None:
        columns = transpose(duplicate_rows(plan.repeats), 4)
        digests.append(await connection.fetchval(sql("append_duplicates"), plan.shard, plan.recorded_at, *columns))
    if plan.rejections:
        columns = rejection_columns(plan.rejections)
        digests.append(await connection.fetchval(sql("append_rejections"), plan.shard, plan.recorded_at, *columns))
    if plan.gaps:
        columns = gap_columns(plan.gaps)
        digests.append(await connection.fetchval(sql("append_gaps"), plan.shard, plan.recorded_at, *columns))
    if plan.rerouted:
        floods = plan.moved is not None
        moved, sent = (plan.moved or (), without_copies(plan.rerouted)) if floods else (plan.rerouted, plan.rerouted)
        columns = (*moved_columns(moved), *rerouted_columns(sent))
        digests.append(await connection.fetchval(sql("append_rerouted"), plan.shard, plan.recorded_at, *columns))
    if plan.waiting:
        columns = waiting_columns(plan.waiting)
        digests.append(await connection.fetchval(sql("append_waiting"), plan.shard, plan.recorded_at, *columns))
    return b"".join(digests)


async def append_openings(connection: Executor, plan: AppendPlan, head: Head) -> Mapping[str, Opening]:
    """Keep the batch's first openings; returns, of each account that it has an opening of, the one that opened it."""
    accounts = accounts_opened(plan.rows)
    if not accounts:
        return {}
    last = head.next_position + len(plan.rows) - 1
    await connection.execute(sql("append_openings"), plan.shard, head.next_position, last)
    rows = await connection.fetch(sql("fetch_openings"), plan.shard, accounts)
    return {id: Opening(position, type, unseal(type, data, id, key)) for id, position, type, data, key in rows}


async def seal_batch(connection: Executor, plan: AppendPlan, head: Head, stream: bytes, evidence: bytes) -> Appended:
    header = make_header(plan, head, evidence)
    sealed = chain_hash(head.hash, header, rows_of(stream))
    await connection.execute(sql("seal_batch"), *header, CHAIN_VERSION, head.hash, sealed)
    return to_appended(header, plan, head, sealed)


def make_header(plan: AppendPlan, head: Head, evidence: bytes) -> BatchHeader:
    return BatchHeader(
        shard=plan.shard,
        batch=head.next_batch,
        first_position=head.next_position,
        last_position=head.next_position + len(plan.rows) - 1,
        usage_from=plan.expected.usage,
        usage_to=plan.following.usage,
        accounts_from=plan.expected.accounts,
        accounts_to=plan.following.accounts,
        stored=len(plan.rows),
        duplicates=plan.repeated(),
        rejected=len(plan.rejections),
        gaps=plan.gap_offsets(),
        recorded_at=plan.recorded_at,
        evidence=evidence,
        generation=head.generation,
        rerouted=len(plan.rerouted),
        waiting=len(plan.waiting),
    )


def to_appended(header: BatchHeader, plan: AppendPlan, before: Head, sealed: bytes) -> Appended:
    """`before` is where the log stood, `sealed` the hash of the batch."""
    return Appended(
        header.shard,
        header.batch,
        header.first_position,
        header.last_position,
        header.stored,
        header.duplicates,
        header.rejected,
        header.gaps,
        header.rerouted,
        header.waiting,
        plan.rejected_by_reason(),
        weigh_evidence(plan),
        before._replace(next_position=header.last_position + 1, next_batch=header.batch + 1, hash=sealed),
    )


def sql(name: str) -> str:
    return load_sql("meter", name)
