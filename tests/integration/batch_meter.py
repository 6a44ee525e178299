"""A meter without Kafka: events as a producer sends them, from the bytes of a record to what is stored."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from meter.allowance import Allowance
from meter.plan import plan_append
from meter.runtime.postgres import Pool
from meter.store.events import PostgresEventStore
from schemas.parsing.parse import parse_all
from schemas.records import Limits, Record
from schemas.topics import ACCOUNTS, USAGE
from tests.support.builders import NOON, record


class Meter:
    """What it takes at once is one batch of every shard that has some."""

    def __init__(self, pool: Pool, partitions: int) -> None:
        self._pool = pool
        self._store = PostgresEventStore(pool)
        self._limits = Limits(partitions=partitions)
        self._partitions = partitions

    async def take(self, *events: dict[str, Any]) -> None:
        records = [self.write(one) for one in events]
        for shard in sorted({one.partition for one in records}):
            await self._append(shard, [one for one in records if one.partition == shard])

    def write(self, event: dict[str, Any]) -> Record:
        return record(event, partitions=self._partitions)

    async def _append(self, shard: int, records: Sequence[Record]) -> None:
        stored = await self._store.fetch_offsets([USAGE, ACCOUNTS], [shard])
        start = {topic: stored[topic, shard] for topic in (USAGE, ACCOUNTS)}
        batch = {topic: [one for one in records if one.topic == topic] for topic in start}
        numbered = {
            topic: [one._replace(offset=start[topic] + n) for n, one in enumerate(own)] for topic, own in batch.items()
        }
        await self._store.append(
            plan_append(
                shard=shard,
                records=numbered,
                results={topic: parse_all(own, NOON, self._limits) for topic, own in numbered.items()},
                start=start,
                end={topic: start[topic] + len(own) for topic, own in numbered.items()},
                recorded_at=NOON,
                allowance=Allowance(),
            )
        )

    async def amounts(self) -> list[tuple[str, str]]:
        """Type and amount of what was stored, without free grants."""
        rows = await self._pool.fetch(
            "SELECT type, trim_scale(amount)::text FROM meter.event_log "
            "WHERE source <> '/credit-meter/meter' ORDER BY shard, position"
        )
        return [(row[0], row[1]) for row in rows]

    async def rejections(self) -> list[asyncpg.Record]:
        return await self._pool.fetch("SELECT reason, detail FROM meter.rejections ORDER BY rejection_id")

    async def count(self, table: str) -> int:
        count: int = await self._pool.fetchval(f"SELECT count(*) FROM meter.{table}")
        return count
