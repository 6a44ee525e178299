"""A meter that is set up and runs inside the test: the real loop on the real servers."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from meter.runtime.clock import SystemClock
from meter.runtime.kafka import TopicAdmin
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.service import build_meter
from meter.settings import MeterSettings, SetupSettings
from meter.setup import set_up
from meter.store.check import BatchRow
from meter.store.rehash import hash_batches
from schemas.topics import ACCOUNTS, USAGE
from tests.support.waiting import until


async def set_up_meter(values: Mapping[str, Any], *, roles: bool = False) -> list[str]:
    """Everything; the roles on demand, because they belong to the whole server. The steps, as told."""
    settings = SetupSettings(**values)
    return [step.sentence async for step in set_up(settings, SystemClock(), roles=roles)]


@asynccontextmanager
async def running_meter(settings: MeterSettings, *, health: Health | None = None) -> AsyncIterator[Health]:
    """Run until the block ends; an error of the loop is raised there."""
    stop, health = asyncio.Event(), health or Health()
    async with build_meter(settings)(health) as services, asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(service.run(stop))
        try:
            yield health
        finally:
            stop.set()


async def wait_until_stored(pool: Pool, settings: MeterSettings, timeout_s: float = 120) -> None:
    """Wait until every offset that is on the broker now is covered by the stored ones."""
    async with TopicAdmin(settings) as admin:
        ends = {topic: await admin.end_offsets(topic) for topic in (USAGE, ACCOUNTS)}
    wanted = [(shard, ends[USAGE][shard], ends[ACCOUNTS][shard]) for shard in sorted(ends[USAGE])]

    async def covered() -> bool:
        rows = await pool.fetch("SELECT shard, usage_offset, accounts_offset FROM meter.shards ORDER BY shard")
        return is_covered([tuple(row) for row in rows], wanted)

    _: bool = await until(covered, timeout_s=timeout_s, message=f"offsets {wanted} are not stored")


def is_covered(stored: Iterable[tuple[int, ...]], wanted: Iterable[tuple[int, ...]]) -> bool:
    pairs = zip(stored, wanted, strict=True)
    return all(have[1] >= want[1] and have[2] >= want[2] for have, want in pairs)


async def rehash(pool: Pool, shard: int, first: int, last: int) -> list[BatchRow]:
    """Batches of a range, with the hashes that what is stored gives."""
    async with pool.acquire() as connection:
        return await hash_batches(connection, shard, first, last)
