"""A database restored to an earlier moment while Kafka went on: refused, recovered, and nobody is told twice."""

from functools import partial
from typing import Any

import pytest

from deploy.local.ports import free_port
from deploy.local.stack import Addresses
from tests.e2e.restarting import WAIT_S, Backup, are_ready, has_ended, settled, start, stop
from tests.e2e.running import CREDITS, MICRO, Running
from tests.support.damaging import damage_on, pass_triggers
from tests.support.waiting import until

AGAIN = """
UPDATE meter.batches b SET generation = 2 FROM meter.generations g WHERE g.shard = b.shard AND b.batch > g.batch
"""
STRAY = """
INSERT INTO meter.generations
SELECT shard, 9, batch + 900, from_position, usage_offset, accounts_offset, head, usage_known, accounts_known,
       position_known, begun_at, begun_by, reason
FROM meter.generations
"""


async def go_on(running: Running) -> None:
    """What comes after the backup: lines, a top-up and lines once more, an account that the backup does not know."""
    await running.use_settled("acct-1", CREDITS, "15")  # 70 %
    await running.use_settled("acct-2", CREDITS, "70")  # 93 %
    await running.grant("acct-2", CREDITS, "100")
    await running.use_settled("acct-2", CREDITS, "20")  # 51 % of 175
    await running.open("acct-4")
    await running.use_settled("acct-4", CREDITS, "60")  # 80 %


@pytest.mark.needs_kafka("committed offsets of a group, set from outside")
async def test_a_restored_backup_is_refused_and_recovered(
    running: Running, stack: Addresses, values: dict[str, Any], backup: Backup
) -> None:
    await running.open("acct-1", "acct-2", "acct-3")
    await running.use_settled("acct-1", CREDITS, "40")
    await stop(running)
    await backup.take()
    start(running, stack, values)
    await are_ready(running)
    await go_on(running)
    told = running.letters()
    assert set(told.values()) == {1} and len(told) == 5
    await stop(running)
    await backup.restore()

    start(running, stack, values)
    for made in running.services.values():
        await until(partial(has_ended, made), WAIT_S, made.output)
        assert made.wait() == 1
        assert "`meter recover`" in made.logged("service_refused")[-1]["detail"], made.output()
    said = running.processes.run("meter", "recover", "--reason", "backup restored")
    assert said.returncode == 0, said.stderr
    assert "was stored up to" in said.stderr
    start(running, stack, values)
    await are_ready(running)
    await settled(running)
    assert running.letters() == told
    # What comes new is told: 93 %, 93 %, and 91 % of 175.
    for account, amount in (("acct-1", 15), ("acct-4", 10), ("acct-2", 70)):
        await running.use(account, CREDITS, amount * MICRO)
    await settled(running)
    after = running.letters()
    assert sum(after.values()) == sum(told.values()) + 3 and set(after.values()) == {1}
    assert await running.pool.fetchval("SELECT min(generation) FROM meter.shards") == 2
    verified = running.processes.run("meter", "verify")
    assert verified.returncode == 0, verified.stdout
    repeated = running.processes.run("meter", "recover")
    assert repeated.returncode == 1  # services run


@pytest.mark.needs_kafka("committed offsets of a group, set from outside")
async def test_a_backup_that_lacks_no_more_than_the_ends_of_letters_is_refused_and_recovered(
    running: Running, stack: Addresses, values: dict[str, Any], backup: Backup
) -> None:
    """Log, cursors and offsets are the same: only on metering.notifications stands that the letter was sent."""
    await running.open("acct-1")
    await stop(running)
    port, running.mail.port = running.mail.port, free_port(running.mail.host)
    start(running, stack, values)
    await are_ready(running)
    await running.use("acct-1", CREDITS, 40 * MICRO)
    await until(partial(has_letters, running, "queued"), WAIT_S, "a letter waits for the mail server")
    await stop(running)
    await backup.take()
    running.mail.port = port
    start(running, stack, values)
    await until(partial(has_letters, running, "accepted"), WAIT_S, "it is sent")
    await until(partial(is_empty, running), WAIT_S, "its end is published")
    told = running.letters()
    assert set(told.values()) == {1} and len(told) == 1
    await stop(running)
    await backup.restore()

    start(running, stack, values)
    notifier = running.services["notifier"]
    await until(partial(has_ended, notifier), WAIT_S, notifier.output)
    assert "letters that were sent wait" in notifier.logged("service_refused")[-1]["detail"], notifier.output()
    for service in ("meter", "projections"):
        running.services[service].terminate()
        assert running.services[service].wait() == 0
    said = running.processes.run("meter", "recover", "--reason", "backup restored")
    assert said.returncode == 0 and "has 1 of them as waiting" in said.stderr, said.stderr
    start(running, stack, values)
    await are_ready(running)
    await running.use_settled("acct-1", CREDITS, "15")  # 73 %: the next line
    assert running.letters()[next(iter(told))] == 1 and sum(running.letters().values()) == 2
    await stop(running)
    again = running.processes.run("meter", "recover")
    assert again.returncode == 0 and "nothing was changed" in again.stderr
    start(running, stack, values)


async def has_letters(running: Running, state: str) -> bool:
    return bool(await running.pool.fetchval("SELECT count(*) FROM notifier.emails WHERE state = $1", state))


async def is_empty(running: Running) -> bool:
    return bool(await running.pool.fetchval("SELECT count(*) FROM notifier.outbox") == 0)


@pytest.mark.needs_kafka("committed offsets of a group, set from outside")
async def test_tampering_after_a_recovery_is_found(running: Running, stack: Addresses, values: dict[str, Any]) -> None:
    await running.open("acct-1")
    await running.use_settled("acct-1", CREDITS, "10")
    await stop(running)
    nothing = running.processes.run("meter", "recover")
    assert nothing.returncode == 0 and "nothing was changed" in nothing.stderr
    forced = running.processes.run("meter", "recover", "--force", "--reason", "tried")
    assert forced.returncode == 0, forced.stderr
    start(running, stack, values)
    await are_ready(running)
    await running.use_settled("acct-1", CREDITS, "10")
    verify = partial(running.processes.run, "meter", "verify")
    assert verify().returncode == 0
    for change, undo, damage in (
        (
            "UPDATE meter.generations SET from_position = from_position + 1",
            "UPDATE meter.generations SET from_position = from_position - 1",
            "batch_changed",
        ),
        ("UPDATE meter.shards SET generation = 3", "UPDATE meter.shards SET generation = 2", "shard_changed"),
        (
            "UPDATE meter.batches SET generation = 1 WHERE generation = 2 AND stored > 0",
            AGAIN,
            "batch_changed",
        ),
        (
            STRAY,
            "DELETE FROM meter.generations WHERE generation = 9",
            "stray_row",
        ),
    ):
        await tamper(running, change)
        found = verify()
        assert found.returncode == 1 and damage in found.stdout, (change, found.stdout)
        await tamper(running, undo)
    assert verify().returncode == 0


async def tamper(running: Running, statement: str) -> None:
    async with running.pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        await damage_on(connection, statement)
