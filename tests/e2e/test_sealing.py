"""A log of a version before, with addresses in clear: sealed, killed at each step, and everything goes on."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.local.mail import MailSink
from deploy.local.stack import Addresses
from meter.runtime.kafka import Message, Producer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from meter.settings import MeterSettings
from schemas.build import STRUCTURED_HEADERS, encode_event, new_event_id
from schemas.identity import OWN_SOURCE
from schemas.outputs import AccountChangedV1
from schemas.resources import Resource
from schemas.topics import BALANCES
from tests.e2e.restarting import are_ready, start, stop
from tests.e2e.running import ROLES, Running
from tests.support.dumping import dump
from tests.support.meter import running_meter
from tests.support.processes import Processes
from tests.support.searching import find

ANN, NAME = "ann.person@example.com", "Person & Example"
STEPS = ("seal_events_sealed", "seal_before_commit", "seal_after_commit", "seal_topic_deleted", "seal_topic_made")
EVENTS = "SELECT convert_to(data::text, 'UTF8') FROM meter.events"


async def as_before(_connection: Any, plan: Any) -> Any:
    return plan.rows


@pytest.fixture
async def before(
    processes: Processes,
    stack: Addresses,
    values: dict[str, Any],
    settings: Settings,
    pool: Pool,
    mail: MailSink,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    """A meter that stores in clear, in this process; the others as they are; all of them are stopped at last."""
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    smtp = {"smtp_host": mail.host, "smtp_port": str(mail.port), "mail_from": "credits@example.com"}
    services = {
        name: processes.spawn(name, postgres_dsn=stack.dsn(database, role), mail_pause_s="0.5", **smtp)
        for name, role in ROLES.items()
        if name != "meter"
    }
    async with Running(settings, pool, mail, services, processes, {}) as running:
        with monkeypatch.context() as patch:
            patch.setattr("meter.store.batches.seal_rows", as_before)
            async with running_meter(MeterSettings(**values)):
                await are_ready(running)
                await live(running)
                await stop(running)
        yield running


async def live(running: Running) -> None:
    await running.accounts.opened("acct-1", plan="free", contacts=[ANN], display_name=NAME)
    await running.accounts.opened("acct-2", plan="free", contacts=[f"x.{ANN}"])
    await running.accounts.flush()
    for account in ("acct-1", "acct-2"):
        running.ledger.open(account)
    await running.settle()
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "40")
    await publish_old(running)
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "1")


async def publish_old(running: Running) -> None:
    """What a version before published at the opening."""
    shard = await running.pool.fetchval("SELECT shard FROM projections.account_states WHERE account_id = 'acct-1'")
    data = AccountChangedV1(
        account_id="acct-1", plan="free", display_name=NAME, contacts=[ANN], shard=shard, position=1
    )
    value = encode_event(
        "account.changed.v1", "acct-1", data, event_id=new_event_id(), time=datetime.now(UTC), source=OWN_SOURCE
    )
    async with Producer(running.settings) as producer:
        await producer.publish([Message(BALANCES, "acct-1", value, shard, STRUCTURED_HEADERS)])


@pytest.mark.needs_kafka("committed offsets of a group, set from outside")
async def test_an_old_log_is_sealed_killed_at_each_step(
    before: Running, stack: Addresses, values: dict[str, Any]
) -> None:
    running = before
    stored = [row[0] for row in await running.pool.fetch(EVENTS)]
    assert find(stored, ANN, NAME) == [ANN, NAME]
    assert find(await running.read_values((BALANCES,)), ANN, NAME) == [ANN, NAME]
    asked = await seal(running)
    assert asked.returncode == 1 and "nothing is changed" in asked.stderr, asked.stderr
    for step in STEPS:
        killed = await seal(running, "--yes", fault_points=f"{step}:1:kill")
        assert killed.returncode == -signal.SIGKILL, (step, killed.stdout, killed.stderr)
    done = await seal(running, "--yes")
    assert done.returncode == 0 and "made again" in done.stdout, done.stdout + done.stderr
    stored = [row[0] for row in await running.pool.fetch(EVENTS)]
    assert find(stored, ANN, NAME) == []
    assert find(await running.read_values((BALANCES,)), ANN, NAME) == []
    again = await seal(running, "--yes")
    assert again.returncode == 0 and "nothing in the log was in clear" in again.stdout
    await goes_on(running, stack, values)


async def seal(running: Running, *arguments: str, **settings: str) -> Any:
    return await asyncio.to_thread(running.processes.run, "meter", "seal", *arguments, **settings)


async def goes_on(running: Running, stack: Addresses, values: dict[str, Any]) -> None:
    """One letter was sent before; the next line sends the next, to the address that only the sealed log has."""
    letters = len(running.mail.mails)
    start(running, stack, values)
    await are_ready(running)
    refused = await seal(running, "--yes")
    assert refused.returncode == 1 and "stop all services" in refused.stderr
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "20")  # 81 %
    assert len(running.mail.mails) == letters + 1 and len(running.mail.sent_to(ANN)) == letters + 1
    await running.use_settled("acct-2", Resource.MODEL_CREDITS, "40")
    published = await running.read_values((BALANCES,))
    assert any(b"account.changed.v2" in value for value in published) and find(published, ANN, NAME) == []
    for name, verb in (("meter", ["verify"]), ("projections", ["rebuild"]), ("projections", ["verify"])):
        checked = await asyncio.to_thread(running.processes.run, name, *verb)
        assert checked.returncode == 0, (name, verb, checked.stdout, checked.stderr)
    explained = await asyncio.to_thread(running.processes.run, "projections", "explain", "acct-1")
    assert explained.returncode == 0, explained.stdout + explained.stderr
    forgotten = await asyncio.to_thread(
        running.processes.run, "meter", "forget", "acct-1", "--reason", "asked", "--yes"
    )
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    assert find([await asyncio.to_thread(dump, str(values["postgres_dsn"]))], f"<{ANN}>", f'"{ANN}"', NAME) == []
    verified = await asyncio.to_thread(running.processes.run, "meter", "verify")
    assert verified.returncode == 0 and "cannot be compared any more" in verified.stdout, verified.stdout
