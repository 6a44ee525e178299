"""Over TLS: to a Kafka with the rights of deploy/kafka-acls.txt, with passwords and with certificates; to Postgres."""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import asyncio
import contextlib
import shutil
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from deploy.local.mail import MailSink
from deploy.local.stack import Addresses
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.errors import LoginRefusedError
from meter.runtime.kafka import Message, Producer
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.postgres import Pool, close_pool, connect, open_reading_pool
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE
from tests.e2e.running import ROLES
from tests.support.certificates import Certificates, server_context
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.processes import Processes
from tests.support.readiness import is_ready
from tests.support.tls_kafka import TlsKafka, certificates, kafka, login  # noqa: F401  # fixtures are arguments below
from tests.support.tls_postgres import postgres_with
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("tls_kafka")

READY_S = 90
BALANCE = "SELECT remaining FROM projections.balances WHERE account_id = 'acct-1' AND resource = 'model_credits'"
TOLD = "SELECT count(*) FROM notifier.emails WHERE state = 'accepted'"
FAULTS = {"authority": "not trusted", "name": "another host name", "expired": "has expired"}


@pytest.mark.parametrize("kind", ["SCRAM", "MTLS"])
async def test_the_services_work_with_exactly_their_rights(
    kind: str, processes: Processes, kafka: TlsKafka, certificates: Certificates, stack: Addresses,
    values: dict[str, Any], pool: Pool, mail: MailSink, topic_prefix: str,
) -> None:  # fmt: skip
    kafka.add_users(topic_prefix)
    done = processes.run("meter", "setup", **login(kind, "credit-setup", kafka, certificates))
    assert done.returncode == 0, done.stderr
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    smtp = {"smtp_host": mail.host, "smtp_port": str(mail.port), "mail_pause_s": "0.1"}
    services = {}
    for name, role in ROLES.items():
        own = login(kind, f"credit-{name}", kafka, certificates) | {"postgres_dsn": stack.dsn(database, role)}
        services[name] = processes.make(name, **own, **(smtp if name == "notifier" else {})).spawn()
    for service in services.values():
        await until(partial(is_ready, service), READY_S, service.output)
    users = {user: Settings.model_validate(values | login(kind, user, kafka, certificates))
             for user in ("usage-producer", "billing")}  # fmt: skip
    async with (
        UsageProducer(users["usage-producer"], source="//tests.example.com") as usage,
        AccountsProducer(users["billing"], source="//tests.example.com") as accounts,
    ):
        await accounts.opened("acct-1", plan="free", contacts=["owner@example.com"])
        await usage.model_inference("acct-1", credits="45", model="small-chat")

    async def told() -> bool:
        return bool(await pool.fetchval(BALANCE) == 30 and await pool.fetchval(TOLD) == 1)

    await until(told, READY_S, lambda: "\n".join(service.output() for service in services.values()))
    granted = [
        "grant",
        "acct-1",
        "model_credits",
        "5",
        "--reason",
        "a test",
        "--reference",
        "T-1",
        "--yes",
        "--no-wait",
    ]
    done = processes.run("meter", *granted, **login(kind, "credit-support", kafka, certificates))
    assert done.returncode == 0, done.stderr
    for service in services.values():
        service.terminate()
    assert [service.wait() for service in services.values()] == [0, 0, 0]
    output = "".join(service.output() for service in services.values())
    assert "AuthorizationFailed" not in output and "connections_without_tls" not in output


async def test_a_producer_of_usage_can_write_usage_and_nothing_else(
    kafka: TlsKafka, certificates: Certificates, processes: Processes, values: dict[str, Any], topic_prefix: str
) -> None:
    kafka.add_users(topic_prefix)
    assert processes.run("meter", "setup", "--no-roles").returncode == 0
    settings = Settings.model_validate(values | login("SCRAM", "usage-producer", kafka, certificates))
    async with Producer(settings) as producer:
        await producer.publish([Message(USAGE, "acct-1", b"{}")])
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.publish([Message(ACCOUNTS, "acct-1", b"{}")])
    with pytest.raises(TopicAuthorizationFailedError):
        await read_one(settings, topic_prefix + USAGE)


async def read_one(settings: Settings, topic: str) -> object:
    consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(READY_S):
            return await consumer.getone()
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("listener", "authority", "words"),
    [("SCRAM", True, FAULTS["authority"]), ("OTHERNAME", False, FAULTS["name"]), ("EXPIRED", False, FAULTS["expired"])],
    ids=FAULTS,
)
def test_a_broker_with_a_bad_certificate_is_refused(
    listener: str, authority: bool, words: str, kafka: TlsKafka, certificates: Certificates, processes: Processes
) -> None:
    own = {
        "kafka_bootstrap": kafka.address(listener),
        "kafka_ssl_cafile": certificates.other_cafile if authority else certificates.cafile,
    }
    done = processes.run("meter", "setup", **own)
    [said] = done.stderr.splitlines()
    assert done.returncode == 2, said
    assert said.startswith(f"kafka at {kafka.address(listener)} shows a certificate") and words in said


def test_a_client_without_a_certificate_is_told_what_to_look_at(
    kafka: TlsKafka, certificates: Certificates, processes: Processes
) -> None:
    own = {"kafka_bootstrap": kafka.address("MTLS"), "kafka_ssl_cafile": certificates.cafile}
    done = processes.run("meter", "setup", **own)
    [said] = done.stderr.splitlines()
    assert done.returncode in (2, 3) and "METERING_KAFKA_SSL_CERTFILE" in said, said


async def test_postgres_with_a_good_certificate(dsn: str, certificates: Certificates) -> None:
    async with postgres_with(server_context(certificates.server()), dsn) as front:
        connection = await connect(front.address(certificates.cafile), "tests")
        try:
            # The server in front answers nothing before the handshake: what came back came over TLS.
            assert await connection.fetchval("SELECT 1") == 1
        finally:
            await connection.close()


@pytest.mark.parametrize("fault", FAULTS)
async def test_postgres_with_a_bad_certificate_is_refused(fault: str, dsn: str, certificates: Certificates) -> None:
    shown = {"authority": certificates.server, "name": certificates.other_name, "expired": certificates.expired}[
        fault
    ]()
    cafile = certificates.other_cafile if fault == "authority" else certificates.cafile
    async with postgres_with(server_context(shown), dsn) as front:
        with pytest.raises(LoginRefusedError) as caught:
            await connect(front.address(cafile), "tests")
    said = str(caught.value)
    assert said.startswith(f"postgres at localhost:{front.port} shows a certificate") and FAULTS[fault] in said


async def test_authorities_that_are_not_there_are_named(dsn: str, certificates: Certificates) -> None:
    async with postgres_with(server_context(certificates.server()), dsn) as front:
        with pytest.raises(LoginRefusedError, match=r"in /none\.pem\. See METERING_POSTGRES_SSL_CAFILE"):
            await connect(front.address("/none.pem"), "tests")


async def test_a_postgres_without_tls_is_refused(dsn: str, certificates: Certificates) -> None:
    async with postgres_with(None, dsn) as front:
        with pytest.raises(LoginRefusedError, match=r"speaks no TLS.*METERING_PLAINTEXT_HOSTS"):
            await connect(front.address(certificates.cafile), "tests")


async def test_an_authority_that_is_replaced_counts_without_a_restart(
    dsn: str, certificates: Certificates, tmp_path: Path
) -> None:
    cafile = tmp_path / "ca.pem"
    shutil.copy(certificates.other_cafile, cafile)
    async with postgres_with(server_context(certificates.server()), dsn) as front:
        address = front.address(str(cafile))
        with pytest.raises(LoginRefusedError):
            await connect(address, "tests")
        shutil.copy(certificates.cafile, cafile)
        connection = await connect(address, "tests")
        await connection.close()


@pytest.mark.parametrize("named", [True, False], ids=["a file", "the system's"])
async def test_a_reader_of_balances_trusts_these_authorities(
    named: bool, dsn: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in README.md, Read balances: on another host the system's are the default."""
    async with postgres_with(server_context(certificates.server()), dsn) as front:
        address = front.address(certificates.cafile if named else None, sslmode="verify-full")
        with pytest.raises(ssl.SSLCertVerificationError) if not named else contextlib.nullcontext():
            await read_one_number(address)
        monkeypatch.setenv("SSL_CERT_FILE", certificates.cafile)  # OpenSSL's name for the system's
        await read_one_number(address)


async def read_one_number(address: str) -> None:
    pool = await open_reading_pool(address)
    try:
        assert await pool.fetchval("SELECT 1") == 1
    finally:
        await close_pool(pool)
