"""The ends of metering.balances, asked when a letter is about to be sent: what was read up to there is the newest."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from meter.runtime.errors import DependencyUnreachableError

Ask = Callable[[], Awaitable[Mapping[int, int]]]  # the end of each shard that answers, of the broker


class Ends(Protocol):
    async def fetch(self, shard: int) -> int:
        """The offset behind the last record of the shard, no older than the call. Raises transient errors."""
        ...


class KafkaEnds:
    """Whoever asks while a question is on its way shares the next one: its answer is younger than their call."""

    def __init__(self, ask: Ask) -> None:
        self._ask_broker = ask
        self._next: asyncio.Future[Mapping[int, int]] | None = None
        self._lock = asyncio.Lock()

    async def fetch(self, shard: int) -> int:
        if self._next is None:
            self._next = asyncio.ensure_future(self._ask())
        ends = await asyncio.shield(self._next)
        if shard not in ends:  # its leader is away: what was read may not be the newest
            raise DependencyUnreachableError(f"kafka: the end of shard {shard} is not known now", dependency="kafka")
        return ends[shard]

    async def _ask(self) -> Mapping[int, int]:
        async with self._lock:
            self._next = None  # from here on the answer may be older than a new question
            return await self._ask_broker()
