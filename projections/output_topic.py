"""The identity of `metering.balances`: what was published is only there while the topic is the very one it went to."""

import asyncio
from collections.abc import Mapping
from typing import Final

from meter.runtime.clock import Clock
from meter.runtime.errors import DependencyUnreachableError, TopicIdentityError
from meter.runtime.kafka import TopicAdmin, TopicInfo
from meter.runtime.kafka.patience import Patience
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from meter.runtime.waiting import wait_for
from meter.topics import GROWN_OUTPUT, NoteGrown, RecordedTopics, TopicRow
from projections.store import sql
from schemas.topics import BALANCES

EVERY_S: Final = 30.0
REMEDY: Final = (
    "Bring the original topic back; or, if it is gone for good, run `projections republish --new-topic`, which sends "
    "the present state of every account to this one."
)


class OutputTopicStore:
    """Implements `TopicStore` for the one topic that the outbox goes to."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch_topics(self) -> Mapping[str, TopicRow]:
        row = await self._pool.fetchrow(sql("fetch_topic"))
        return {} if row is None else {BALANCES: TopicRow(BALANCES, *row)}

    async def record_topic(self, row: TopicRow, clock: Clock) -> None:
        await self._pool.execute(sql("record_topic"), row.topic_id)

    async def accept_grown(self, first: int, beyond: int) -> None:
        """What is published goes to the partitions of the shards."""


class OutputTopicWatch:
    """Compares the topic with the recorded one, at the start and every `every_s`."""

    name = "output-topic"

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        clock: Clock,
        *,
        every_s: float = EVERY_S,
        note_grown: NoteGrown = lambda _topic, _partitions: None,
    ) -> None:
        self._settings = settings
        self._store = OutputTopicStore(pool)
        self._guard = RecordedTopics(
            self._store, clock, settings.partitions, REMEDY, grown=GROWN_OUTPUT, note_grown=note_grown
        )
        self._every_s = every_s
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not await wait_for(stop, self._every_s):
            with self._patience.bearing():
                await self.check()

    async def check(self) -> None:
        """Raises TopicIdentityError when the topic is not the recorded one, or is gone."""
        async with TopicAdmin(self._settings) as admin:
            info = await admin.find(BALANCES)
        if info is not None:
            await self._guard.check_topics({BALANCES: info})
        elif await self._store.fetch_topics():
            raise TopicIdentityError(explain_gone(self._settings))
        else:
            name = self._settings.topic(BALANCES)
            raise DependencyUnreachableError(f"there is no topic {name}: run `meter setup`", dependency="kafka")


def explain_gone(settings: Settings) -> str:
    return (
        f"topic {settings.topic(BALANCES)} is gone. Messages wait in the outbox. Bring it back; or run `meter setup`, "
        "which makes it again, and `projections republish --new-topic`, which sends the present state of every account "
        "to it."
    )


async def find_topic(settings: Settings) -> TopicInfo:
    async with TopicAdmin(settings) as admin:
        info = await admin.find(BALANCES)
    if info is None:
        raise TopicIdentityError(f"there is no topic {settings.topic(BALANCES)}: run `meter setup`")
    return info
