"""The list deploy/kafka-acls.txt is the least there is: without any one of its lines a process says what it lacks.

Each right of the services, of setup and of an operator is taken in turn, on Apache Kafka over SCRAM, and given back.
"""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import json
from typing import Any

import pytest

from deploy.kafka_acls import Right, read_rights
from deploy.local.mail import MailSink
from deploy.local.stack import Addresses
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.clock import SystemClock
from meter.runtime.kafka import Message, Producer
from meter.runtime.kafka.groups import set_committed
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.build import encode_event
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, NOTIFICATIONS, TOPICS, USAGE, partition_for
from tests.e2e.running import ROLES
from tests.integration.runtime_ledger import grow
from tests.support.certificates import Certificates
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.processes import Processes, ServiceProcess
from tests.support.tls_kafka import TlsKafka, certificates, kafka, login  # noqa: F401  # fixtures are arguments below
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("tls_kafka")

SAID_S = 60
# The least that Kafka allows by default: the next process waits until the one that was killed is given up.
SESSION_MS = "6000"
STRAYED = "acct-2"
# What is used where this test does not bring a service, each with the test that does.
ELSEWHERE = {
    Right("credit-notifier", "Read", "topic", NOTIFICATIONS): "after `meter recover` alone",
    Right("credit-meter", "Read", "topic", ANCHORS): "by `meter verify`",
}


def rights_of(user: str) -> list[Right]:
    return [right for right in read_rights() if right.user == user and right not in ELSEWHERE]


def said(service: ServiceProcess, right: Right, prefix: str) -> bool:
    """Whether a line for people says that Kafka refuses, and what is lacking. A user who may write no topic at all is
    refused before it has named one."""
    lines = [json.dumps(line) for line in service.logged() if line["level"] in ("warning", "error")]
    words = [prefix + right.name, *(["lacks Write on the topic"] if right.operation == "Write" else [])]
    return any("kafka refuses" in line and any(word in line for word in words) for line in lines)


async def send(settings: Settings) -> None:
    async with (
        UsageProducer(settings, source="//tests.example.com") as usage,
        AccountsProducer(settings, source="//tests.example.com") as accounts,
    ):
        await accounts.opened("acct-1", plan="free", contacts=["owner@example.com"])
        await usage.model_inference("acct-1", credits="45", model="small-chat")


async def stray(settings: Settings, number: int) -> None:
    """A record of each topic in a wrong partition: to send it on the meter needs to write both."""
    values = [
        (USAGE, encode("usage.tool_run.v1", {"tool": "web-search"}, number)),
        (ACCOUNTS, encode("account.renamed.v1", {"display_name": f"Name {number}"}, number)),
    ]
    wrong = (partition_for(STRAYED.encode(), settings.partitions) + 1) % settings.partitions
    async with Producer(settings) as producer:
        await producer.publish([Message(topic, STRAYED, value, wrong) for topic, value in values])


def encode(kind: str, data: dict[str, Any], number: int) -> bytes:
    return encode_event(
        kind, STRAYED, data, event_id=f"strayed-{number}", time=SystemClock().now(), source="//tests.example.com"
    )


@pytest.fixture
def prepared(processes: Processes, kafka: TlsKafka, topic_prefix: str) -> None:
    kafka.add_users(topic_prefix)
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("prepared")
async def test_a_service_without_one_of_its_rights_says_which(
    processes: Processes, kafka: TlsKafka, certificates: Certificates, stack: Addresses,
    values: dict[str, Any], settings: Settings, pool: Pool, mail: MailSink, topic_prefix: str,
) -> None:  # fmt: skip
    await send(settings)
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    smtp = {"smtp_host": mail.host, "smtp_port": str(mail.port), "mail_pause_s": "0.1"}
    quiet: list[Right] = []
    for name, role in ROLES.items():
        own = login("SCRAM", f"credit-{name}", kafka, certificates) | {"postgres_dsn": stack.dsn(database, role)}
        own |= {"kafka_session_ms": SESSION_MS} | {"meter": {"anchor_s": "0.2"}, "notifier": smtp}.get(name, {})
        for number, right in enumerate(rights_of(f"credit-{name}")):
            if name == "meter":
                await stray(settings, number)
            kafka.take(right, topic_prefix)
            service = processes.make(name, **own).spawn()
            try:
                await until(lambda: said(service, right, topic_prefix), SAID_S, service.output)  # noqa: B023
            except AssertionError:
                quiet.append(right)
                print(right, service.output()[-3000:])
            service.kill()
            kafka.give(right, topic_prefix)
        service = processes.make(name, **own).spawn()
        await until(lambda: service.logged("progress_made"), SAID_S, service.output)  # noqa: B023
        service.terminate()
        assert service.wait() == 0
        assert "kafka refuses" not in service.output()
    assert quiet == []


def test_setup_without_one_of_its_rights_says_which(
    processes: Processes, kafka: TlsKafka, certificates: Certificates, topic_prefix: str
) -> None:
    kafka.add_users(topic_prefix)
    own = login("SCRAM", "credit-setup", kafka, certificates)
    made, rights = [spec.name for spec in TOPICS], rights_of("credit-setup")
    # In setup's order: once a topic is there nobody creates it.
    creating = sorted((right for right in rights if right.operation == "Create"), key=lambda one: made.index(one.name))
    quiet: list[Right] = []

    def try_without(right: Right) -> None:
        kafka.take(right, topic_prefix)
        done = processes.run("meter", "setup", **own)
        kafka.give(right, topic_prefix)
        if not (done.returncode == 1 and "kafka refuses" in done.stderr and topic_prefix + right.name in done.stderr):
            quiet.append(right)
            print(right, done.returncode, done.stdout[-400:], done.stderr[-400:])

    for right in creating:
        try_without(right)
    done = processes.run("meter", "setup", **own)
    assert done.returncode == 0, done.stderr
    for right in rights:
        if right not in creating:
            try_without(right)
    assert quiet == []


def is_told(processes: Processes, kafka: TlsKafka, right: Right, prefix: str, *command: str, **own: str) -> bool:
    """Whether the verb says that it lacks this right."""
    kafka.take(right, prefix)
    done = processes.run("meter", *command, **own)
    kafka.give(right, prefix)
    if done.returncode == 1 and "kafka refuses" in done.stderr and prefix + right.name in done.stderr:
        return True
    print(right, done.returncode, done.stdout[-400:], done.stderr[-1400:])
    return False


@pytest.mark.usefixtures("prepared")
async def test_who_recovers_without_one_of_the_rights_is_told_which(
    processes: Processes, kafka: TlsKafka, certificates: Certificates,
    settings: Settings, pool: Pool, topic_prefix: str,
) -> None:  # fmt: skip
    own = login("SCRAM", "credit-operator", kafka, certificates)
    await fill(settings, pool)
    reading = [right for right in rights_of("credit-operator") if right.operation == "Read"]
    recover = ("recover", "--force")
    assert [right for right in reading if not is_told(processes, kafka, right, topic_prefix, *recover, **own)] == []
    done = processes.run("meter", *recover, **own)
    assert done.returncode == 0, (done.stdout, done.stderr)


@pytest.mark.not_on_citus("`meter seal` and `meter split` refuse there")
@pytest.mark.usefixtures("prepared")
async def test_who_seals_without_one_of_the_rights_is_told_which(
    processes: Processes, kafka: TlsKafka, certificates: Certificates,
    settings: Settings, pool: Pool, topic_prefix: str,
) -> None:  # fmt: skip
    """`meter seal` has something to delete and to make; `meter recover` and `meter split` need no more."""
    own = login("SCRAM", "credit-operator", kafka, certificates)
    rights = rights_of("credit-operator")
    await fill(settings, pool)
    quiet: list[Right] = []
    for operation in ("DescribeConfigs", "Delete", "Create"):
        [right] = [right for right in rights if right.operation == operation]
        if not is_told(processes, kafka, right, topic_prefix, "seal", "--yes", **own):
            quiet.append(right)
    assert quiet == []
    for command in (("seal", "--yes"), ("recover", "--force")):
        done = processes.run("meter", *command, **own)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    doubled = 2 * settings.partitions
    await grow(settings, doubled, USAGE, ACCOUNTS, BALANCES, NOTIFICATIONS)
    done = processes.run("meter", "split", **own, partitions=str(doubled))
    assert done.returncode == 0, (done.stdout, done.stderr)


async def fill(settings: Settings, pool: Pool) -> None:
    """A record of each topic that is read, one with an address that was published before; both groups have read."""
    old = b'{"type":"account.changed.v1"}'
    async with Producer(settings) as producer:
        await producer.publish([Message(topic, "acct-1", old, 0) for topic in (ANCHORS, BALANCES, NOTIFICATIONS)])
    await pool.execute("UPDATE notifier.cursors SET next_offset = 1 WHERE shard = 0")
    await set_committed(settings, "meter", {(USAGE, 0): 0, (ACCOUNTS, 0): 0})
    await set_committed(settings, "notifier", {(BALANCES, 0): 1})
