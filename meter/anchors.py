"""Anchors: the heads of the hash chains, published outside the database, for `meter verify` to compare the log with.

They show that a log was cut or rewritten as a whole, which the chain cannot. Every process publishes the heads of the
shards it has: every METERING_ANCHOR_S seconds, and when it drains.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from meter.runtime.failures import explain, is_transient, name_dependency
from meter.runtime.kafka import Message, Producer
from meter.runtime.log import get_logger
from meter.runtime.postgres import Pool, load_sql
from meter.runtime.process.health import Health
from meter.runtime.waiting import wait_for
from schemas.build import STRUCTURED_HEADERS, encode_event
from schemas.identity import OWN_SOURCE
from schemas.outputs import LogAnchored
from schemas.topics import ANCHORS

log = get_logger("anchors")

LOG_ANCHORED: Final = "log.anchored.v1"
SOURCE: Final = OWN_SOURCE
# Namespace of the ids; never changes: the same head published twice is one event.
NAMESPACE: Final = UUID("5b1d6a0e-0a53-5f3f-9a0c-3f6f0a6f7c11")
LAST_ANCHORS_TIMEOUT_S: Final = 5


class ShardHead(NamedTuple):
    shard: int
    batch: int
    position: int
    hash: bytes
    recorded_at: datetime
    generation: int = 1


class Anchors:
    """The loop that publishes heads every `pause_s`. A failure stops nothing: the next round publishes them."""

    name = "anchors"

    def __init__(
        self, pool: Pool, producer: Producer, shards: Callable[[], Collection[int]], *, pause_s: float, health: Health
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._shards = shards
        self._pause_s = pause_s
        self._health = health
        self._published: dict[int, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        while not await wait_for(stop, self._pause_s):
            await self.publish_moved()

    async def publish_last(self) -> None:
        """Once everything that was received is stored, within a deadline."""
        try:
            async with asyncio.timeout(LAST_ANCHORS_TIMEOUT_S):
                await self.publish_moved()
        except TimeoutError:
            log.warning("anchors_failed", detail=f"not published within {LAST_ANCHORS_TIMEOUT_S} s")

    async def publish_moved(self) -> None:
        try:
            heads = await self.fetch_heads()
            moved = plan_anchors(heads, self._published)
            await self._producer.publish([render_anchor(head) for head in moved])
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("anchors_failed", dependency=name_dependency(error), detail=explain(error))
            return
        self._published |= {head.shard: head.batch for head in moved}
        if moved:
            self._health.metrics.published.labels(ANCHORS).inc(len(moved))
            log.debug("anchors_published", shards=[head.shard for head in moved])

    async def fetch_heads(self) -> list[ShardHead]:
        rows = await self._pool.fetch(load_sql("meter", "fetch_heads"), sorted(self._shards()))
        return [ShardHead(*row) for row in rows]


def plan_anchors(heads: Sequence[ShardHead], published: Mapping[int, int]) -> list[ShardHead]:
    """The heads that moved since they were last published."""
    return [head for head in heads if published.get(head.shard, 0) < head.batch]


def render_anchor(head: ShardHead) -> Message:
    """The same head always gives the same bytes."""
    key = str(head.shard)
    data = LogAnchored(
        shard=head.shard,
        batch=head.batch,
        position=head.position,
        hash=head.hash.hex(),
        recorded_at=head.recorded_at,
        generation=head.generation,
    )
    event_id = str(uuid5(NAMESPACE, f"{head.shard}/{head.batch}/{data.hash}"))
    value = encode_event(LOG_ANCHORED, key, data, event_id=event_id, time=head.recorded_at, source=SOURCE)
    return Message(ANCHORS, key, value, headers=STRUCTURED_HEADERS)
