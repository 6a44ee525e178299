"""What the meter would reject of records, by what is stored now. Reads only."""

from collections.abc import Sequence
from datetime import datetime

from meter.foresee import asked_of, foresee, plan_shards
from meter.runtime.postgres import Pool, load_sql
from meter.store.batches import fetch_known
from meter.store.corrections import fetch_facts
from schemas.records import Limits, Record, Rejected


async def foresee_rejections(
    pool: Pool, records: Sequence[Record], now: datetime, limits: Limits
) -> dict[int, Rejected]:
    """By the number of the record. One that breaks the contract is not judged here."""
    found: dict[int, Rejected] = {}
    async with pool.acquire() as connection:
        shards = await connection.fetchval(load_sql("meter", "count_shards"))
        for plan in plan_shards(records, now, limits, shards) if shards else ():
            known = await fetch_known(connection, plan.shard, asked_of(plan), has_old=True)
            found |= foresee(plan, await fetch_facts(connection, plan), known)
    return found
