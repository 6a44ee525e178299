"""The services of the release before on the new tables: beside the new ones, alone, and followed by the new ones."""

from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import Addresses
from tests.e2e.restarting import are_ready, spawn_previous, start, stop
from tests.e2e.running import CREDITS, MICRO, Running
from tests.support.previous import count_migrations

ACCOUNTS = tuple(f"acct-{number}" for number in range(8))
ROUNDS = 40
ROOT = Path(__file__).parents[2]


async def load(running: Running, credits: int) -> None:
    """Events of all accounts, in many batches; together each uses so many credits."""
    for _ in range(ROUNDS):
        for account in ACCOUNTS:
            await running.use(account, CREDITS, credits * MICRO // ROUNDS)
        await running.usage.flush()


@pytest.mark.needs_kafka("a group whose members come and go")
async def test_the_release_before_runs_on_the_new_tables_under_load(
    running: Running, stack: Addresses, values: dict[str, Any], previous: Path
) -> None:
    assert count_migrations(previous) < count_migrations(ROOT), "there is a migration that it does not know"
    new = running.services
    await running.open(*ACCOUNTS)
    old = spawn_previous(running, previous, stack, values)
    running.services = old
    await are_ready(running)
    await load(running, 40)  # 53 %, both side by side
    running.services = new
    await stop(running)
    running.services = old
    await load(running, 16)  # 74 %, the release before alone
    await running.grant(ACCOUNTS[0], CREDITS, "100")
    await running.reverse(ACCOUNTS[1], CREDITS, "0.1")
    await running.settle()
    await stop(running)
    start(running, stack, values)
    await are_ready(running)
    await load(running, 8)
    await running.settle()
    assert set(running.letters().values()) == {1}, "nobody is told anything twice"
    assert await running.pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    verified = running.processes.run("meter", "verify")
    assert verified.returncode == 0, verified.stdout
