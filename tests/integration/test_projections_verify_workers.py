"""`projections verify` looks at two shards at a time: how it tells of them, and what an end leaves behind."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from meter.runtime.postgres import Executor, Pool
from projections import verify as verifying
from projections.verify import NoticeRules, ShardReport, verify
from tests.integration.projections_log import EventLog


@pytest.fixture
async def shards(pool: Pool) -> list[int]:
    log = EventLog(pool)
    await log.set_up()
    return [row["shard"] for row in await pool.fetch("SELECT shard FROM meter.shards ORDER BY shard")]


class Looks:
    """In place of the comparison of a shard; the first one ends when the second has ended."""

    def __init__(self, fails: int | None = None) -> None:
        self.begun: list[int] = []
        self.at_once = self.most_at_once = 0
        self._second = asyncio.Event()
        self._fails = fails

    async def look(self, _connection: Executor, shard: int, _rules: NoticeRules | None) -> ShardReport:
        self.begun.append(shard)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if len(self.begun) == 1:
                await self._second.wait()
            self._second.set()
            if shard == self._fails:
                raise RuntimeError("a shard that cannot be read")
            return ShardReport(shard, 0, [])
        finally:
            self.at_once -= 1


async def test_two_shards_at_a_time_are_told_of_in_their_order(
    pool: Pool, shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks()
    monkeypatch.setattr(verifying, "verify_shard", looks.look)
    assert [report.shard async for report in verify(pool)] == shards
    assert looks.most_at_once == 2 < len(shards)


async def test_an_error_and_an_early_end_leave_no_connection_taken(
    pool: Pool, shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "verify_shard", Looks(fails=shards[-1]).look)
    reports = verify(pool)
    assert [(await anext(reports)).shard for _ in shards[1:]] == shards[:-1]
    with pytest.raises(RuntimeError):
        await anext(reports)
    monkeypatch.setattr(verifying, "verify_shard", Looks().look)
    reports = verify(pool)
    assert (await anext(reports)).shard == shards[0]
    await cast("AsyncGenerator[ShardReport]", reports).aclose()
    assert pool.get_idle_size() == pool.get_size()
