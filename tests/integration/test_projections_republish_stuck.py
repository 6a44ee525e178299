"""`projections republish` while one shard cannot be published: the others are sent, and it is named."""

import asyncio

import pytest

from meter.runtime.postgres import Pool
from projections import republish
from projections.republish import Republication, begin, fetch_unfinished
from tests.integration.projections_log import EventLog, fold_all, opened, used
from tests.support.waiting import until

ACCOUNTS = tuple(f"acct-{number}" for number in range(9))


@pytest.fixture
async def shards(pool: Pool, log: EventLog) -> list[int]:
    """Those that have accounts; what they published first is gone."""
    for account in ACCOUNTS:
        await log.append(*opened(account), used(account, 10))
    await fold_all(pool)
    await pool.execute("DELETE FROM projections.outbox")
    rows = await pool.fetch("SELECT DISTINCT shard FROM projections.account_states ORDER BY shard")
    assert len(rows) > 1
    return [row["shard"] for row in rows]


async def test_one_shard_that_cannot_be_published_holds_up_no_other(
    pool: Pool, shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(republish, "LOOK_S", 0.01)
    monkeypatch.setattr(republish, "REMIND_S", 0.0)
    monkeypatch.setattr(republish, "PATIENCE_S", 0.05)
    await begin(pool)
    stuck, *others = shards
    said: list[str] = []
    stop = asyncio.Event()
    running = asyncio.create_task(
        Republication(pool, page_accounts=1, most_waiting=1, report=said.append, stop=stop).run()
    )
    empty = "DELETE FROM projections.outbox WHERE shard <> $1"  # what a relay does to the others

    async def are_others_done() -> bool:
        await pool.execute(empty, stuck)
        return {each.shard for each in await fetch_unfinished(pool)} == {stuck}

    await until(are_others_done)
    await until(lambda: any(f"shard {stuck}: waiting for `projections run` to publish" in line for line in said))
    assert not running.done()
    await pool.execute("DELETE FROM projections.outbox")

    async def is_done() -> bool:
        await pool.execute("DELETE FROM projections.outbox")
        return running.done()

    await until(is_done)
    assert await running == len(ACCOUNTS)
    assert others and await fetch_unfinished(pool) == []


async def test_a_run_that_goes_on_names_no_shard(
    pool: Pool, shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits a moment for the outbox behind each page, and is long under way in all."""
    monkeypatch.setattr(republish, "LOOK_S", 0.001)
    monkeypatch.setattr(republish, "REMIND_S", 0.5)
    await begin(pool)
    said: list[str] = []
    running = asyncio.create_task(Republication(pool, page_accounts=1, most_waiting=0, report=said.append).run())
    began = asyncio.get_running_loop().time()

    rounds = 1

    async def is_done() -> bool:
        """As a relay that takes all that there is, a tenth of a second apart."""
        nonlocal rounds
        if asyncio.get_running_loop().time() > began + 0.1 * rounds:
            rounds += 1
            await pool.execute("DELETE FROM projections.outbox")
        return running.done()

    await until(is_done)
    assert await running == len(ACCOUNTS) and shards
    assert asyncio.get_running_loop().time() > began + 0.5, "else nothing was to be said"
    assert said == []
