"""Seals personal data that a shard stored in clear, and chains its log anew: all of it in one transaction of the owner.

The log is checked first, so that a change made before is not covered up. What each batch's hash was stays, and which
events were sealed: with the keys of their accounts the former chain can be worked out again (`former.py`).
"""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from meter.recover import Place
from meter.runtime.errors import RefusalError
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import Executor, Pool, load_sql, transpose
from meter.sealing import KEY_BYTES, NONCE_BYTES, is_clear, seal
from meter.store.audit import CHUNK_BATCHES, CHUNK_ROWS, Audit
from meter.store.keys import fetch_keys
from meter.store.layout import CHAIN_VERSION, BatchHeader, chain_hash
from meter.store.rehash import hash_batch
from schemas.topics import BALANCES

PAGE_ROWS: Final = 2_000  # events sealed at a time
Progress = Callable[[int], None]


class Sealed(NamedTuple):
    """What was done in a shard; nothing where all was sealed already."""

    shard: int
    events_sealed: int
    batches_chained: int
    generation: int


class Clear(NamedTuple):
    position: int
    type: int
    account_id: str
    data: str


class Wording(NamedTuple):
    """Who seals, when and why: for the record of the generation."""

    at: datetime
    by: str
    reason: str


async def find_clear(connection: Executor, shard: int, after: int = 0) -> list[Clear]:
    """The next events stored in clear, some at a time; empty at the end."""
    while True:
        rows = await connection.fetch(load_sql("meter", "find_personal"), shard, after, PAGE_ROWS)
        found = [Clear(*row) for row in rows if is_clear(row["type"], row["data"])]
        if found or not rows:
            return found
        after = rows[-1]["position"]


async def seal_shard(pool: Pool, shard: int, generation: int, wording: Wording, progress: Progress) -> Sealed:
    """Raises RefusalError where the log is damaged, or another writer has the shard: then nothing was changed."""
    async with pool.acquire() as connection, connection.transaction():
        [row] = await connection.fetch(load_sql("meter", "lock_place"), BALANCES, shard)
        place = Place(*row)
        found = await find_clear(connection, shard)
        if not found:
            return Sealed(shard, 0, 0, place.generation)
        await connection.execute(load_sql("meter", "prepare_audit"))
        await check_whole(connection, shard, progress)
        has_old = await connection.fetchval(load_sql("meter", "has_unidentified"), [shard])
        await connection.execute(load_sql("meter", "allow_sealing"))
        if has_old:
            await connection.execute(load_sql("meter", "allow_unidentified"))
        [first] = await connection.fetch(load_sql("meter", "find_batch"), shard, found[0].position)
        events = await seal_events(connection, shard, generation, wording.at, found)
        await fault_point("seal_events_sealed")
        head = await chain_anew(connection, shard, generation, first["batch"], first["previous"], progress)
        await connection.execute(load_sql("meter", "refuse_changes_again"))
        if has_old:
            await connection.execute(load_sql("meter", "refuse_unidentified"))
        await begin_generation(connection, place, generation, head, wording)
        await fault_point("seal_before_commit")
    await fault_point("seal_after_commit")
    return Sealed(shard, events, place.batch - first["batch"] + 1, generation)


async def check_whole(connection: Executor, shard: int, progress: Progress) -> None:
    report = await Audit(connection, shard, progress).run(1)
    if report.findings:
        raise RefusalError(
            f"shard {shard} is damaged, and sealing would cover it up: {report.findings[0].detail}. Nothing was "
            "changed in it. `meter verify` says what to do."
        )


async def seal_events(connection: Executor, shard: int, generation: int, at: datetime, found: Sequence[Clear]) -> int:
    """How many. The keys that are missing are made, as when an event is stored."""
    events = 0
    while found:
        accounts = {row.account_id for row in found}
        keys = dict(await fetch_keys(connection, shard, accounts))
        made = {account_id: os.urandom(KEY_BYTES) for account_id in sorted(accounts - keys.keys())}
        if made:
            await connection.execute(load_sql("meter", "insert_keys"), shard, at, list(made), list(made.values()))
        keys |= made
        sealed = [
            (row.position, seal(row.type, row.data, row.account_id, keys[row.account_id], os.urandom(NONCE_BYTES)))
            for row in found
        ]
        await connection.execute(load_sql("meter", "replace_personal"), shard, generation, *transpose(sealed, 2))
        events += len(found)
        found = await find_clear(connection, shard, found[-1].position)
    return events


async def chain_anew(
    connection: Executor, shard: int, generation: int, first: int, previous: bytes, progress: Progress
) -> bytes:
    """From a batch on; returns the new head."""
    while True:
        last = await connection.fetchval(load_sql("meter", "find_chunk_end"), shard, first, CHUNK_ROWS, CHUNK_BATCHES)
        if last is None:
            return previous
        changed = []
        for batch in await connection.fetch(load_sql("meter", "fetch_batches"), shard, first, last):
            new = await hash_batch(connection, shard, batch, previous)
            changed.append((batch["batch"], previous, new))
            previous = new
            progress(batch["event_rows"])
        await connection.execute(load_sql("meter", "chain_anew"), shard, generation, *transpose(changed, 3))
        first = last + 1


async def begin_generation(connection: Executor, place: Place, generation: int, head: bytes, wording: Wording) -> None:
    """Nothing is lost: the generation begins where the log ends, and records the old head."""
    shard, _, position, batch, usage, accounts, old_head, notifier = place
    if await connection.fetchval(load_sql("meter", "move_head"), shard, old_head, head) is None:
        raise RefusalError(f"shard {shard} moved meanwhile: stop all services, and call it again")
    known = usage, accounts, position
    [row] = await connection.fetch(
        load_sql("meter", "begin_generation"),
        shard,
        place.generation,
        generation,
        *known,
        wording.at,
        wording.by,
        wording.reason,
        head,
        old_head,
    )
    header = BatchHeader(
        shard, batch + 1, position + 1, position, usage, usage, accounts, accounts, 0, 0, 0, 0, wording.at,
        row["digest"], generation,
    )  # fmt: skip
    sealed = chain_hash(head, header, b"")
    await connection.execute(load_sql("meter", "seal_batch"), *header, CHAIN_VERSION, head, sealed)
    if notifier is not None:
        await connection.execute(load_sql("meter", "begin_notifier_generation"), shard, generation, position + 1)
