"""Checks what a log was before its old personal data was sealed: the former hashes, against the events opened again.

Sealing gives every batch another hash, and anchors of before are compared with the former one. So these must be proved
as well: the former chain is worked out once more from what is stored. Of accounts that were forgotten since, nothing
can be opened; batches that hold such events cannot be compared and are counted.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from meter.runtime.errors import explain
from meter.runtime.postgres import Executor, load_sql
from meter.sealing import FORGOTTEN_KEY, SealBrokenError, unseal
from meter.store.damage import Damage, Finding
from meter.store.rehash import Opened, hash_batch

PAGE_BATCHES: Final = 500


class Former(NamedTuple):
    """Of one shard."""

    findings: list[Finding]
    compared: int  # batches whose former hash follows from the events
    closed: int  # batches whose former hash nobody can work out any more


async def check_former(connection: Executor, shard: int) -> Former:
    findings: list[Finding] = []
    compared = closed = 0
    for row in await connection.fetch(load_sql("meter", "fetch_sealings"), shard):
        generation, begins, head = row["generation"], row["batch"], row["sealed_from"]
        last, last_hash = 0, b""
        while batches := await connection.fetch(
            load_sql("meter", "find_former"), shard, generation, last, PAGE_BATCHES
        ):
            done = await check_page(connection, shard, generation, batches)
            findings, compared, closed = findings + done.findings, compared + done.compared, closed + done.closed
            last, last_hash = batches[-1]["batch"], batches[-1]["hash"]
        if (last, last_hash) != (begins - 1, head):
            detail = f"its hashes before generation {generation} do not end with the head that the generation records"
            findings.append(Finding(shard, begins - 1, Damage.FORMER_CHANGED, detail))
    return Former(findings, compared, closed)


async def check_page(connection: Executor, shard: int, generation: int, former: Sequence[asyncpg.Record]) -> Former:
    findings: list[Finding] = []
    closed = 0
    first, last = former[0]["batch"], former[-1]["batch"]
    stored = {
        row["batch"]: row for row in await connection.fetch(load_sql("meter", "fetch_batches"), shard, first, last)
    }
    for row in former:
        batch = stored.get(row["batch"])
        if batch is None:
            continue  # the chain itself says that it is missing
        opened = await open_batch(connection, shard, generation, batch)
        if opened is None:
            closed += 1
        elif isinstance(opened, str):
            findings.append(Finding(shard, row["batch"], Damage.FORMER_CHANGED, opened))
        elif await hash_batch(connection, shard, batch, row["previous"], opened) != row["hash"]:
            detail = f"its events, opened again, do not give the hash that it had before generation {generation}"
            findings.append(Finding(shard, row["batch"], Damage.FORMER_CHANGED, detail))
    return Former(findings, len(former) - closed, closed)


async def open_batch(connection: Executor, shard: int, generation: int, batch: asyncpg.Record) -> Opened | str | None:
    """Positions and data as they were; None where a key is gone, a text where one does not open what is stored."""
    place = shard, generation, batch["first_position"], batch["last_position"]
    rows = await connection.fetch(load_sql("meter", "fetch_sealed_later"), *place)
    if any(row["key"] == FORGOTTEN_KEY for row in rows):
        return None
    try:
        data = [unseal(row["type"], row["data"], row["account_id"], row["key"]) for row in rows]
    except SealBrokenError as error:
        return explain(error)
    return [row["position"] for row in rows], data
