"""The recorded identity of the input topics, in Postgres."""

from collections.abc import Mapping

from meter.runtime.clock import Clock
from meter.runtime.postgres import Pool, load_sql
from meter.topics import TopicRow


class PostgresTopicStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch_topics(self) -> Mapping[str, TopicRow]:
        rows = await self._pool.fetch(load_sql("meter", "fetch_topics"))
        return {row["topic"]: TopicRow(*row) for row in rows}

    async def record_topic(self, row: TopicRow, clock: Clock) -> None:
        await self._pool.execute(load_sql("meter", "record_topic"), *row, clock.now())

    async def accept_grown(self, first: int, beyond: int) -> None:
        """Each gets a cursor and a place in the outbox; no account is in it, so no event ever is."""
        for number in range(first, beyond):
            await self._pool.execute(load_sql("meter", "insert_grown_shard"), number)
            await self._pool.execute(load_sql("meter", "insert_grown_outbox_shard"), number)
