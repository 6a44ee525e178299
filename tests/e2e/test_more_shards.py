"""Twice as many shards, for good: histories, letters, what waits and what comes twice go on as they were."""

import json
import signal
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

import confluent_kafka
import pytest

from deploy.local.stack import Addresses
from meter.settings import MeterSettings
from schemas.build import encode_event
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, BALANCES, NOTIFICATIONS, USAGE, partition_for
from tests.e2e.growing import choose_accounts
from tests.e2e.restarting import are_ready, start, stop
from tests.e2e.running import CREDITS, MICRO, Running
from tests.integration.runtime_ledger import grow
from tests.support.waiting import until

WAIT_S = 120
ASTRAY = """
SELECT (SELECT count(*) FROM meter.events WHERE shard <> $1 AND account_id = $2)
     + (SELECT count(*) FROM projections.balance_states WHERE shard <> $1 AND account_id = $2)
     + (SELECT count(*) FROM notifier.told WHERE shard <> $1 AND account_id = $2)
     + (SELECT count(*) FROM notifier.emails WHERE shard <> $1 AND account_id = $2)
"""
HISTORY = """
SELECT account_id, resource, epoch, allocation, consumed, at FROM projections.exhaustion_history ORDER BY 1, 2, position
"""
CONTACTS = "SELECT account_id, contact_id, is_contact, level FROM notifier.contacts LEFT JOIN notifier.told t \
USING (shard, account_id, contact) ORDER BY account_id, contact_id, t.resource"


class Held:
    """A transaction that stays open in a partition of usage: what is behind it is not read, so reversals wait."""

    def __init__(self, running: Running, account: str, event_id: str, amount: str, partition: int) -> None:
        self._producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": running.settings.kafka_bootstrap,
                "transactional.id": f"held-{account}",
                "transaction.timeout.ms": 600_000,
            }
        )
        self._producer.init_transactions()
        self._producer.begin_transaction()
        value = encode_usage(account, event_id, amount)
        topic = running.settings.topic(USAGE)
        headers = [("content-type", b"application/cloudevents+json")]
        self._producer.produce(topic, value, key=account.encode(), partition=partition, headers=headers)
        self._producer.flush()

    def commit(self) -> None:
        self._producer.commit_transaction()


def encode_usage(account: str, event_id: str, amount: str) -> bytes:
    data, now = {"credits": amount, "model": "large-chat"}, datetime.now(UTC)
    return encode_event(
        "usage.model_inference.v1", account, data, event_id=event_id, time=now, source="//tests.example.com"
    )


def send_again(running: Running, account: str, event_id: str, amount: str, partition: int) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": running.settings.kafka_bootstrap})
    headers = [("content-type", b"application/cloudevents+json")]
    value = encode_usage(account, event_id, amount)
    topic = running.settings.topic(USAGE)
    producer.produce(topic, value, key=account.encode(), partition=partition, headers=headers)
    producer.flush()


async def is_waiting(running: Running) -> bool:
    return bool(await running.pool.fetchval("SELECT count(*) FROM meter.outbox WHERE usage_end IS NOT NULL") == 1)


async def shows(running: Running, account: str, micro: int) -> bool:
    found = await running.pool.fetchval(
        "SELECT consumed * 1000000 FROM projections.balances WHERE account_id = $1 AND resource = $2", account, CREDITS
    )
    return bool(found == micro)


async def is_opened(running: Running, account: str, name: str) -> bool:
    found = await running.pool.fetchval("SELECT display_name FROM projections.accounts WHERE account_id = $1", account)
    return bool(found == name)


@pytest.mark.needs_kafka("partitions added to a topic")
async def test_shards_are_doubled_for_good(running: Running, stack: Addresses, values: dict[str, Any]) -> None:
    shards, doubled = running.settings.partitions, 2 * running.settings.partitions
    moved, kept, waiting, repeated, stays, late = choose_accounts(shards, doubled)
    await running.open(moved, waiting, repeated, stays)
    await running.use_settled(moved, CREDITS, "40")  # 53 %
    await running.grant(moved, CREDITS, "100")
    await running.use_settled(moved, CREDITS, "60")  # 57 % of 175
    await running.reverse(moved, CREDITS, "5")
    await running.use_settled(repeated, CREDITS, "70")
    await running.use_settled(stays, CREDITS, "53")  # 70 %
    # What comes before the opening is kept.
    await running.usage.model_inference(kept, credits="4", model="large-chat")
    await running.accounts.renamed(kept, display_name="Kept")
    # A reversal waits for usage that nobody has read yet, because a transaction is open.
    event = "0192f3a4-0000-7000-8000-00000000000a"
    held = Held(running, waiting, event, "30", partition_for(waiting.encode(), shards))
    credits = Resource(CREDITS)
    await running.accounts.reversed(waiting, resource=credits, amount="10", reason="failed_run", reverses=event)
    await running.usage.flush()
    await running.accounts.flush()
    await until(partial(is_waiting, running), WAIT_S, "the reversal waits")
    await running.settle()

    split = partial(running.processes.run, "meter", "split", partitions=str(doubled))
    early = split()
    assert early.returncode == 1 and "stop all services first" in early.stderr
    await stop(running)
    uneven = running.processes.run("meter", "split", partitions=str(shards + 1))
    assert uneven.returncode == 1 and "must be a multiple" in uneven.stderr
    ungrown = split()
    assert ungrown.returncode == 1 and "Grow them first" in " ".join(ungrown.stderr.split())
    await grow(running.settings, doubled, USAGE, ACCOUNTS, BALANCES, NOTIFICATIONS)
    held.commit()
    # In flight: an event that is stored already, where it belonged before, and where it belongs from now on.
    old = running.last_usage[repeated, CREDITS]
    for partition in (partition_for(repeated.encode(), number) for number in (shards, doubled)):
        send_again(running, repeated, old, "70", partition)
    history, contacts = await running.pool.fetch(HISTORY), await running.pool.fetch(CONTACTS)
    told = running.letters()
    killed = split(fault_points="split_before_commit:1:kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert running.processes.run("meter", "verify").returncode == 0, "nothing was done"
    said = split(fault_points="split_after_commit:1:kill")
    assert said.returncode == -signal.SIGKILL, said.stderr
    assert ": not read yet: " in said.stderr and f"to {shards} new shards" in said.stderr
    again = split()
    assert again.returncode == 0 and "nothing was changed" in again.stderr

    assert await running.pool.fetch(HISTORY) == history
    assert await running.pool.fetch(CONTACTS) == contacts
    values["partitions"] = doubled
    running.settings = MeterSettings(**values)
    running.processes._env["METERING_PARTITIONS"] = str(doubled)
    verified = running.processes.run("meter", "verify")
    assert verified.returncode == 0, verified.stdout
    sealed = running.processes.run("meter", "seal", "--yes")
    assert sealed.returncode == 1 and "cannot be sealed yet" in " ".join(sealed.stderr.split())
    start(running, stack, values)
    await are_ready(running)
    await running.use_new_producers()
    running.ledger.use(waiting, CREDITS, 20 * MICRO)
    await until(partial(shows, running, waiting, 20 * MICRO), WAIT_S, "the usage counts, less what was reversed of it")
    await running.settle()
    new = running.letters() - told
    assert running.letters() == told, f"nobody is told anything twice: {new}"
    await go_on(running, doubled, moved, kept, late, repeated, stays)


async def go_on(running: Running, shards: int, moved: str, kept: str, late: str, repeated: str, stays: str) -> None:
    told = running.letters()
    await running.use_settled(moved, CREDITS, "30")  # 71 %: a new line
    await running.use_settled(stays, CREDITS, "8")  # 81 %: a new line
    await running.open(late)
    await running.use_settled(late, CREDITS, "20")
    await running.accounts.opened(kept, plan="free", contacts=[f"{kept}@example.com"])
    await running.accounts.flush()
    await until(partial(is_opened, running, kept, "Kept"), WAIT_S, "what was kept counts")
    assert await shows(running, kept, 4 * MICRO)
    # Of events that moved: one comes once more, another is reversed.
    old = running.last_usage[repeated, CREDITS]
    send_again(running, repeated, old, "70", partition_for(repeated.encode(), shards))
    await running.reverse(repeated, CREDITS, "2")
    await running.settle()
    new = running.letters() - told
    assert Counter(line[0] for line in new.elements()) == {f"{moved}@example.com": 1, f"{stays}@example.com": 1}
    assert await running.pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    assert await running.pool.fetchval("SELECT count(*) FROM meter.events WHERE kafka_offset IS NULL") == 0
    for account in (moved, kept, late, repeated, stays):
        shard = partition_for(account.encode(), shards)
        assert await running.pool.fetchval(ASTRAY, shard, account) == 0, account
    stored = await running.pool.fetchval(
        "SELECT count(*) FROM meter.events WHERE account_id = $1 AND type = 1", repeated
    )
    assert stored == 1, "a repeat of an event that moved is a duplicate"
    for command in (("meter", "verify"), ("projections", "verify")):
        verified = running.processes.run(*command)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    rebuilt = running.processes.run("projections", "rebuild", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    for line in map(json.loads, rebuilt.stdout.splitlines()):
        assert (line["added"], line["changed"], line["removed"]) == (0, 0, 0), line
    shown = running.processes.run("projections", "explain", moved)
    assert shown.returncode == 0 and "40" in shown.stdout
