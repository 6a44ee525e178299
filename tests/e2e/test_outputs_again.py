"""A lost or re-created `metering.balances`, and a notifier that was away for longer than it is kept."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from deploy.local.stack import Addresses
from meter.runtime.kafka import TopicAdmin
from meter.runtime.settings import Settings
from schemas.build import Decoded, decode_event
from schemas.topics import BALANCES
from tests.e2e.running import MICRO, Running
from tests.integration.runtime_ledger import read_all
from tests.support.processes import ServiceProcess
from tests.support.waiting import until

CREDITS = "model_credits"
RESTED = ("acct-1", "acct-2", "acct-3")
WAIT_S = 60


@pytest.fixture
async def story(running: Running) -> Running:
    """Three accounts, one told of 50 %, one of 90 %, one of nothing."""
    await running.open(*RESTED)
    for account, amount in (("acct-1", "40"), ("acct-2", "70"), ("acct-2", "2")):
        await running.use_settled(account, CREDITS, amount)
    return running


def as_role(stack: Addresses, values: dict[str, Any], role: str) -> dict[str, str]:
    return {"postgres_dsn": stack.dsn(str(values["postgres_dsn"]).rpartition("/")[2], f"credit_{role}")}


async def published(settings: Settings) -> list[Decoded]:
    found = await read_all(settings, BALANCES)
    return [decode_event(value) for own in found.values() for _key, value in own if value is not None]


async def refused(service: ServiceProcess) -> str:
    """What a service says that refuses to go on."""
    await until(lambda: not service.running, timeout_s=WAIT_S, message=service.output)
    assert service.wait() == 1
    return str(service.logged("service_refused")[-1]["detail"])


def subjects(running: Running, accounts: Sequence[str] = RESTED) -> dict[str, list[str]]:
    return {account: running.subjects(account) for account in accounts}


@pytest.mark.needs_kafka("a topic made again with another id")
async def test_a_topic_made_again_is_refused_and_filled_again(
    story: Running, stack: Addresses, values: dict[str, Any]
) -> None:
    told = subjects(story)
    before = {event.envelope.id for event in await published(story.settings)}
    for service in ("projections", "notifier"):
        story.services[service].terminate()
        assert story.services[service].wait() == 0
    async with TopicAdmin(story.settings) as admin:
        await admin.delete(BALANCES)
    assert story.processes.run("meter", "setup").returncode == 0
    for service in ("projections", "notifier"):
        role = as_role(stack, values, service)
        detail = await refused(story.processes.spawn(service, **role, **smtp_of(story)))
        assert "re-created" in detail and "projections republish --new-topic" in detail
    role = as_role(stack, values, "projections")
    said = story.processes.run("projections", "republish", **role)
    assert said.returncode == 1 and "--new-topic" in said.stderr
    said = story.processes.run("projections", "republish", "--new-topic", **role)
    assert (said.returncode, said.stdout.split()[0]) == (0, "3"), said.stderr
    story.services["projections"] = story.processes.start("projections", **role)
    role = as_role(stack, values, "notifier")
    said = story.processes.run("notifier", "reread", **role)
    assert said.returncode == 0, said.stderr
    story.services["notifier"] = story.processes.start("notifier", **role, **smtp_of(story))
    await story.settle()
    again = await published(story.settings)
    assert len(again) == 3 * len(RESTED)  # each account, and its two balances
    assert before & {event.envelope.id for event in again}, "a state that was published keeps its id"
    await story.use_settled("acct-1", CREDITS, "35")
    assert len(story.subjects("acct-1")) == 2
    assert subjects(story, RESTED[1:]) == {account: told[account] for account in RESTED[1:]}


@pytest.mark.needs_kafka("records deleted before they were read")
async def test_a_notifier_away_for_longer_than_retention_catches_up(
    story: Running, stack: Addresses, values: dict[str, Any]
) -> None:
    told = subjects(story)
    story.services["notifier"].terminate()
    assert story.services["notifier"].wait() == 0
    for amount in ("10", "5"):  # 55 of 75: the line of 70 is crossed while it is away
        await story.use("acct-1", CREDITS, int(amount) * MICRO)
        await published_all(story)
    await delete_records(story.settings)
    role = as_role(stack, values, "notifier")
    detail = await refused(story.processes.spawn("notifier", **role, **smtp_of(story)))
    assert "retention removed records" in detail
    assert "notifier reread" in detail and "projections republish" in detail
    assert story.processes.run("notifier", "reread", **role).returncode == 0
    story.services["notifier"] = story.processes.start("notifier", **role, **smtp_of(story))
    said = story.processes.run("projections", "republish", **as_role(stack, values, "projections"))
    assert said.returncode == 0, said.stderr
    await story.settle()
    assert [subject.split(" of")[0] for subject in story.subjects("acct-1")] == ["53 %", "73 %"]
    assert subjects(story, RESTED[1:]) == {account: told[account] for account in RESTED[1:]}


async def published_all(running: Running) -> None:
    """Everything sent is folded and published; the notifier is away."""

    async def is_done() -> bool:
        rows = await running.pool.fetch("SELECT account_id, resource, remaining FROM projections.balances")
        shown = {(row["account_id"], row["resource"]): int(row["remaining"] * MICRO) for row in rows}
        wanted = {key: book.remaining for key, book in running.ledger.books.items()}
        return shown == wanted and await running.pool.fetchval("SELECT count(*) FROM projections.outbox") == 0

    await running.usage.flush()
    await until(is_done, timeout_s=WAIT_S, message="not folded and published")


async def delete_records(settings: Settings) -> None:
    """What retention does, at once."""
    async with TopicAdmin(settings) as admin:
        ends = await admin.end_offsets(BALANCES)
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await client.start()
    try:
        name = settings.topic(BALANCES)
        await client.delete_records({TopicPartition(name, p): RecordsToDelete(end) for p, end in ends.items()})
    finally:
        await client.close()


def smtp_of(running: Running) -> dict[str, str]:
    mail = running.mail
    return {
        "smtp_host": mail.host, "smtp_port": str(mail.port), "mail_from": "credits@example.com", "mail_pause_s": "0.5",
    }  # fmt: skip
