"""The local servers: they come back with their data, and they never outlive their owner."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from deploy.local import kafka_probe, postgres_probe
from deploy.local import postgres as embedded_postgres
from deploy.local.stack import (
    Addresses,
    KafkaServer,
    PostgresServer,
    start_embedded_kafka,
    start_embedded_postgres,
)
from tests.support import until_sync

ROOT = Path(__file__).parents[2]
END_S = 60  # of servers that have to flush what they hold


@contextmanager
def closing(server: KafkaServer | PostgresServer) -> Iterator[None]:
    try:
        yield
    finally:
        server.close()


async def fetch(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("end", ["stop", "crash"])
async def test_postgres_keeps_what_was_committed(own_postgres: PostgresServer, end: str) -> None:
    await fetch(own_postgres.dsn(), "CREATE TABLE kept AS SELECT 1 AS value")
    getattr(own_postgres, end)()
    assert not postgres_answers(own_postgres)
    own_postgres.start()
    assert await fetch(own_postgres.dsn(), "SELECT value FROM kept") == 1


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_kafka_comes_back_on_the_same_port(own_kafka: KafkaServer, end: str) -> None:
    before = own_kafka.bootstrap
    getattr(own_kafka, end)()
    assert not kafka_answers(own_kafka)
    own_kafka.start()
    assert own_kafka.bootstrap == before
    assert kafka_answers(own_kafka)


def test_the_embedded_broker_comes_back_on_the_same_port() -> None:
    broker = start_embedded_kafka()
    with closing(broker):
        broker.crash()
        assert not kafka_answers(broker)
        broker.start()
        assert kafka_answers(broker)


async def test_a_paused_postgres_answers_nobody_and_goes_on_afterwards(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.dsn())
    try:
        own_postgres.pause()
        waiting = asyncio.create_task(connection.fetchval("SELECT 1"))
        assert not postgres_answers(own_postgres)
        assert not waiting.done()
        own_postgres.resume()
        assert await waiting == 1
    finally:
        await connection.close()


async def test_a_paused_server_can_be_stopped(own_postgres: PostgresServer) -> None:
    own_postgres.pause()
    own_postgres.stop()
    assert not postgres_answers(own_postgres)


def kafka_answers(server: KafkaServer) -> bool:
    host, _, port = server.bootstrap.partition(":")
    return kafka_probe.answers(host, int(port))


def postgres_answers(server: PostgresServer) -> bool:
    address = urlsplit(server.dsn())
    assert address.hostname and address.port
    return postgres_probe.answers(address.hostname, address.port)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_servers_end_with_their_owner(tmp_path: Path, signum: signal.Signals) -> None:
    owner, addresses = start_owner(tmp_path, "--kafka", "embedded", "--postgres", "embedded")
    try:
        directories = owned_directories(owner.pid)
        owner.send_signal(signum)
        owner.wait(END_S)
        until_sync(lambda: not kafka_probe.answers("127.0.0.1", port_of(addresses.kafka_bootstrap)), END_S)
        until_sync(lambda: not postgres_probe.answers("127.0.0.1", port_of(addresses.postgres_dsn)), END_S)
        assert len(directories) == 2
        until_sync(lambda: not any(directory.exists() for directory in directories), END_S, str(directories))
    finally:
        owner.kill()
        owner.wait()


def start_owner(tmp_path: Path, *options: str) -> tuple[subprocess.Popen[bytes], Addresses]:
    file = tmp_path / "stack.json"
    command = [sys.executable, "-m", "deploy.local.stack", "--write", str(file), *options]
    owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    def written() -> bool:
        assert owner.poll() is None, "the stack ended while it started"
        return file.exists()

    try:
        until_sync(written, 60, "the stack is up")
        return owner, Addresses.read(file)
    except BaseException:
        owner.kill()
        owner.wait()
        raise


def owned_directories(pid: int) -> list[Path]:
    """The directories of the servers that a process started: where they run (Postgres goes into its data)."""
    places = [Path(child.cwd()) for child in psutil.Process(pid).children()]
    return [part for place in places for part in (place, place.parent) if part.name.startswith("credit-meter-")]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])


@pytest.fixture
def closed_install(tmp_path: Path) -> Path:
    """Postgres' programs under a folder that only root may enter."""
    closed = tmp_path / "closed"
    closed.mkdir()
    installed = embedded_postgres.installed()
    for part in (installed, installed.parent.with_name(f"{installed.parent.name}.libs")):
        shutil.copytree(part, closed / part.relative_to(installed.parents[1]), symlinks=True)
    closed.chmod(0o700)
    return closed / installed.relative_to(installed.parents[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
async def test_postgres_starts_for_root_from_a_checkout_closed_to_others(
    closed_install: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_postgres, "installed", lambda: closed_install)
    postgres = start_embedded_postgres()
    with closing(postgres):
        assert await fetch(postgres.dsn(), "SELECT 1") == 1
