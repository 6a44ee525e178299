"""Topics that somebody gives more partitions than there are shards, while everything runs."""

from functools import partial
from typing import Any

import pytest

from deploy.local.stack import Addresses
from meter.runtime.kafka import TopicAdmin
from schemas.topics import ACCOUNTS, BALANCES, NOTIFICATIONS, USAGE
from tests.e2e.growing import choose_accounts
from tests.e2e.restarting import are_ready, start, stop
from tests.e2e.running import CREDITS, WAIT_S, Running
from tests.integration.runtime_ledger import grow
from tests.support.metrics import value
from tests.support.processes import ServiceProcess
from tests.support.waiting import until

REROUTED = "SELECT DISTINCT shard FROM meter.rerouted WHERE topic = $1"


@pytest.mark.needs_kafka("partitions added to a topic")
async def test_grown_topics_stop_nothing(running: Running, stack: Addresses, values: dict[str, Any]) -> None:
    shards = running.settings.partitions
    moved, *others = choose_accounts(shards, 2 * shards)
    late = others.pop()
    await running.open(moved, *others)
    await running.use_settled(moved, CREDITS, "40")
    await grow(running.settings, 2 * shards, USAGE, ACCOUNTS, BALANCES, NOTIFICATIONS)
    await running.use_new_producers()
    for account in (moved, *others):
        await running.use(account, CREDITS, 20_000_000)
        await running.use(account, "tool_runs", 9_500_000_000)
    await running.settle()
    await running.open(late)
    await running.grant(moved, CREDITS, "100")
    await running.use_settled(moved, CREDITS, "60")
    assert await running.banner(moved) is not None and len(running.subjects(moved)) >= 3

    for topic in (USAGE, ACCOUNTS):
        found = {row["shard"] for row in await running.pool.fetch(REROUTED, topic)}
        assert found and min(found) >= shards, "they were found where no shard is"
    assert await running.pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    assert await running.pool.fetchval("SELECT count(*) FROM meter.events WHERE shard >= $1", shards) == 0
    async with TopicAdmin(running.settings) as admin:
        for topic in (BALANCES, NOTIFICATIONS):
            ends = await admin.end_offsets(topic)
            assert len(ends) == 2 * shards and not any(ends[number] for number in range(shards, 2 * shards)), topic
    told = {"meter": (USAGE, ACCOUNTS), "projections": (BALANCES,), "notifier": (BALANCES, NOTIFICATIONS)}
    for service, topic in ((service, topic) for service, topics in told.items() for topic in topics):
        process = running.services[service]
        await until(partial(shows_growth, process, topic, shards), WAIT_S, f"{service} shows that {topic} was grown")
        assert any(topic in line["detail"] for line in process.logged("topic_grown")), process.output()
    assert running.processes.run("meter", "verify").returncode == 0
    await commands_go_on(running, moved, shards)
    await recovers(running, stack, values, moved)


def shows_growth(process: ServiceProcess, topic: str, partitions: int) -> bool:
    return value(process, "metering_grown_partitions", topic=topic) == partitions


async def commands_go_on(running: Running, account: str, shards: int) -> None:
    assert running.processes.run("meter", "setup").returncode == 0
    differs = running.processes.run("meter", "setup", "--check")
    assert differs.returncode == 1 and f"partitions: {2 * shards}, expected {shards}" in differs.stdout
    said = running.processes.run("meter", "grant", account, CREDITS, "5", "--reason", "gift", "--reference", "T-1")
    assert said.returncode == 0, said.stderr
    running.ledger.grant(account, CREDITS, 5_000_000)
    await running.settle()
    refused = running.processes.run("meter", "run", partitions=str(2 * shards))
    assert refused.returncode == 1 and f"Set METERING_PARTITIONS={shards}" in refused.stdout + refused.stderr


async def recovers(running: Running, stack: Addresses, values: dict[str, Any], account: str) -> None:
    """A new generation of all shards, and of the cursors beside them."""
    await stop(running)
    said = running.processes.run("meter", "recover", "--force", "--reason", "tried")
    assert said.returncode == 0, said.stderr
    reread = running.processes.run("notifier", "reread")
    assert reread.returncode == 0, reread.stderr
    start(running, stack, values)
    await are_ready(running)
    await running.use_settled(account, CREDITS, "10")
    assert running.processes.run("meter", "verify").returncode == 0
    unfinished = "SELECT count(*) FROM projections.republications WHERE finished_at IS NULL"

    async def is_republished() -> bool:
        return bool(await running.pool.fetchval(unfinished) == 0)

    await until(is_republished, WAIT_S, "every account's state was sent again")
