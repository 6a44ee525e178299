"""The identity of the topic that the notifier reads, beside the offsets that were counted in it."""

from collections.abc import Mapping
from typing import Final

from meter.runtime.clock import Clock
from meter.runtime.kafka import Remedies
from meter.runtime.postgres import Pool, load_sql
from meter.topics import TopicRow
from schemas.topics import BALANCES

PACKAGE: Final = "notifier"
REMEDY: Final = (
    "Bring the original topic back; or, if it is gone for good, run `projections republish --new-topic` and then "
    "`notifier reread`: this one then holds the present state of every account, and is read from its beginning."
)
REMEDIES: Final = Remedies(
    beyond=REMEDY,
    lost="Run `notifier reread`, which goes on with what is still there, and `projections republish`, which sends the "
    "present state of every account again: who was told something is not told it twice.",
)


class NotifierTopicStore:
    """Implements `TopicStore` for metering.balances."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch_topics(self) -> Mapping[str, TopicRow]:
        row = await self._pool.fetchrow(load_sql(PACKAGE, "fetch_topic"), BALANCES)
        return {} if row is None else {BALANCES: TopicRow(BALANCES, *row)}

    async def record_topic(self, row: TopicRow, clock: Clock) -> None:
        await self._pool.execute(load_sql(PACKAGE, "record_topic"), row.topic, row.topic_id)

    async def accept_grown(self, first: int, beyond: int) -> None:
        """What the notifier reads is in the partitions of the shards."""
