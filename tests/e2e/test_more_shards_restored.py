"""A backup from before `meter split`, restored behind it: Kafka has the partitions of after, and what came in them."""

from functools import partial
from typing import Any

import pytest

from deploy.local.stack import Addresses
from meter.runtime.kafka import TopicAdmin
from meter.settings import MeterSettings
from schemas.topics import ACCOUNTS, BALANCES, NOTIFICATIONS, USAGE, partition_for
from tests.e2e.growing import choose_accounts
from tests.e2e.restarting import WAIT_S, Backup, are_ready, settled, start, stop
from tests.e2e.running import CREDITS, Running
from tests.integration.runtime_ledger import grow
from tests.support.waiting import until

WORDS = "backup restored"


def set_shards(running: Running, values: dict[str, Any], shards: int) -> None:
    values["partitions"] = shards
    running.settings = MeterSettings(**values)
    running.processes._env["METERING_PARTITIONS"] = str(shards)


async def go_on(running: Running, moved: str, stays: str, amount: str) -> None:
    for account in (moved, stays):
        await running.use_settled(account, CREDITS, amount)


async def is_through(running: Running) -> bool:
    left = await running.pool.fetchval(
        "SELECT (SELECT count(*) FROM meter.outbox) + (SELECT count(*) FROM projections.outbox)"
    )
    rows = await running.pool.fetch("SELECT shard, next_offset FROM notifier.cursors WHERE topic = $1", BALANCES)
    async with TopicAdmin(running.settings) as admin:
        ends = await admin.end_offsets(BALANCES)
    return left == 0 and all(row["next_offset"] >= ends[row["shard"]] for row in rows)


@pytest.mark.needs_kafka("partitions added to a topic")
async def test_a_backup_from_before_a_split_is_recovered_and_split_again(
    running: Running, stack: Addresses, values: dict[str, Any], backup: Backup
) -> None:
    shards, doubled = running.settings.partitions, 2 * running.settings.partitions
    moved, late, *_, stays, _ = choose_accounts(shards, doubled)
    await running.open(moved, stays)
    await go_on(running, moved, stays, "30")
    await stop(running)
    await backup.take()
    await grow(running.settings, doubled, USAGE, ACCOUNTS, BALANCES, NOTIFICATIONS)
    set_shards(running, values, doubled)
    assert running.processes.run("meter", "split", "--reason", "more accounts").returncode == 0
    start(running, stack, values)
    await are_ready(running)
    await running.use_new_producers()
    await go_on(running, moved, stays, "10")  # 53 %: letters that the backup does not know
    await running.open(late)
    await running.grant(moved, CREDITS, "100")
    told = running.letters()
    assert set(told.values()) == {1} and len(told) == 2
    await stop(running)
    await backup.restore()

    # The guide: it says which number the database has, which is set for all.
    other = running.processes.run("meter", "recover", "--reason", WORDS)
    assert other.returncode == 1 and f"METERING_PARTITIONS={shards}" in " ".join(other.stderr.split()), other.stderr
    set_shards(running, values, shards)
    said = running.processes.run("meter", "recover", "--reason", WORDS)
    assert said.returncode == 0 and "was stored up to" in said.stderr, said.stderr
    start(running, stack, values)
    await are_ready(running)
    await settled(running, generation=3)
    await until(partial(is_through, running), WAIT_S, "nothing is left to send on, to publish or to read")
    assert running.letters() == told, "nobody is told anything twice"
    verified = running.processes.run("meter", "verify")
    assert verified.returncode == 0, verified.stdout

    await stop(running)
    set_shards(running, values, doubled)
    again = running.processes.run("meter", "split", "--reason", "more accounts")
    assert again.returncode == 0, again.stderr
    start(running, stack, values)
    await are_ready(running)
    for account in (moved, late, stays):
        await running.use(account, CREDITS, 1_000_000)  # another whole percent
    await settled(running, generation=4)
    for account in (moved, late, stays):
        shard = partition_for(account.encode(), doubled)
        found = "SELECT array_agg(DISTINCT shard) FROM meter.events WHERE account_id = $1"
        assert await running.pool.fetchval(found, account) == [shard]
    verified = running.processes.run("meter", "verify")
    assert verified.returncode == 0, verified.stdout
