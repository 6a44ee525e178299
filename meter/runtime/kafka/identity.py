"""Are the topics still the ones whose offsets are stored? Asked at the start, after a rebalance and now and then."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from meter.runtime.errors import TopicIdentityError
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicInfo
from meter.runtime.kafka.assignment import OFFSETS_TIMEOUT_S, within
from meter.runtime.kafka.patience import Patience

EVERY_S: Final = 30.0
# After a look that failed. A broker that is asked and stays silent holds up the loop, so a look is short, too.
AGAIN_S: Final = 5.0
LOOK_S: Final = 5.0


class TopicGuard(Protocol):
    @property
    def remedy(self) -> str:
        """What people can do about a topic that is not the recorded one."""
        ...

    async def check_topics(self, topics: Mapping[str, TopicInfo]) -> None:
        """Compare the topics with what is recorded, or record them the first time.

        Raises TopicIdentityError when they differ.
        """
        ...


class IdentityCheck:
    """Nothing is read before the first look has succeeded. Later ones only watch."""

    def __init__(self, guard: TopicGuard | None, names: Mapping[str, str]) -> None:
        """`names`: those on the broker, by logical topic."""
        self._guard = guard
        self._names = names
        self._next = 0.0
        self._has_passed = False
        self._patience = Patience("topics")

    def require(self) -> None:
        """What was found before no longer holds: the next look must succeed."""
        self._next, self._has_passed = 0.0, False

    async def look(self, client: ConsumerClient) -> None:
        """When one is due. Raises TopicIdentityError, and what the client raises."""
        loop = asyncio.get_running_loop()
        while self._guard is not None and loop.time() >= self._next:
            due = self._next = loop.time() + AGAIN_S
            if self._has_passed:
                pause_s = AGAIN_S
                with self._patience.bearing():
                    await self._guard.check_topics(await self._describe(client, LOOK_S))
                    pause_s = EVERY_S
                self._put_off(due, pause_s)
                continue
            self._has_passed = True
            try:
                await self._guard.check_topics(await self._describe(client, OFFSETS_TIMEOUT_S))
            except BaseException:
                self.require()
                raise
            self._put_off(due, EVERY_S)

    def _put_off(self, due: float, pause_s: float) -> None:
        """Counted from now: a look at a broker that stays silent takes as long as the pause."""
        if self._next == due:  # else a rebalance meanwhile asked for another look
            self._next = asyncio.get_running_loop().time() + pause_s

    async def _describe(self, client: ConsumerClient, timeout_s: float) -> dict[str, TopicInfo]:
        infos = {}
        for topic, name in self._names.items():
            info = await within(client.describe_topic(name), "describing topics", timeout_s)
            if info is None:
                raise self.is_gone(name)
            infos[topic] = info._replace(topic=topic)
        return infos

    def is_gone(self, name: str) -> TopicIdentityError:
        remedy = self._guard.remedy if self._guard is not None else ""
        said = f"topic {name} is gone: it was deleted. {remedy}"
        return TopicIdentityError(said.rstrip())
