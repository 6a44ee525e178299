"""Fixtures: real servers once per run, and for every test its own database and its own topics on them."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.child import UnavailableError
from deploy.local.choice import pick
from deploy.local.mail import MailSink
from deploy.local.stack import Addresses, KafkaServer, PostgresServer, kafka_candidates, postgres_candidates
from meter.runtime.clock import SystemClock
from meter.runtime.postgres import Pool, close_pool, open_pool
from meter.runtime.settings import Settings
from tests.support.citus import WHY_NOT, CitusDatabases, citus_dsn
from tests.support.databases import Databases
from tests.support.examples import UnknownProfileError, load_profile
from tests.support.processes import Processes
from tests.support.servers import CLUSTER, Servers, WrongStackError, describe_choice, is_cluster, is_forced

PARTITIONS = 3
# The embedded broker has no idempotent producer, and keeps new members waiting for half a session.
EMBEDDED = {"kafka_idempotence": False, "kafka_session_ms": 1000}
USED_KEY = pytest.StashKey[dict[str, str]]()
USED_KEY_OF_WORKERS = "servers_used"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-captures", action="store_true", help="write tests/golden anew from what commands print")


def pytest_configure(config: pytest.Config) -> None:
    """Load the profile before tests are imported. What is forced and missing fails the run: -q shows no header."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as behind `&` in a script: processes would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.getoption("--hypothesis-profile", None):
        load_hypothesis()
    if is_forced() and not is_worker(config):
        choose()


def load_hypothesis() -> None:
    try:
        load_profile()
    except UnknownProfileError as error:
        raise pytest.UsageError(str(error)) from error


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs a share of the tests for another one, which talks to people."""
    return hasattr(config, "workerinput")


def pytest_report_header() -> list[str]:
    return choose()


def choose() -> list[str]:
    try:
        return describe_choice()
    except (WrongStackError, UnavailableError) as error:
        raise pytest.UsageError(str(error)) from error


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[USED_KEY] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it used."""
    if is_worker(session.config):
        session.config.workeroutput[USED_KEY_OF_WORKERS] = session.config.stash[USED_KEY]  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The process that talks to people takes it. A worker that crashed has handed over nothing."""
    node.config.stash[USED_KEY].update(getattr(node, "workeroutput", {}).get(USED_KEY_OF_WORKERS, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was used in the end: a candidate that seemed to be there may have failed to start."""
    used = config.stash.get(USED_KEY, {})
    if used:
        terminalreporter.section("servers")
        for name, choice in used.items():
            terminalreporter.write_line(f"{name}: {choice}")


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """Postgres and Kafka, each started at its first use; every worker has its own, for roles belong to a server."""
    made = Servers(pytestconfig.stash[USED_KEY])
    yield made
    made.close()


@pytest.fixture(scope="session")
def stack(servers: Servers) -> Addresses:
    """The addresses of both."""
    return servers.addresses


@pytest.fixture(autouse=True)
def _needs_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_kafka") is None:
        return
    servers: Servers = request.getfixturevalue("servers")
    if servers.kafka.kind == "embedded":
        marker = request.node.get_closest_marker("needs_kafka")
        why = marker.args[0] if marker.args else "needs Apache Kafka"
        pytest.skip(f"{why}: the embedded broker has not got it")


@pytest.fixture(autouse=True)
def _needs_citus(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_citus") is not None and citus_dsn() is None:
        pytest.skip(WHY_NOT)


@pytest.fixture(autouse=True)
def _not_on_citus(request: pytest.FixtureRequest) -> None:
    if is_cluster() and (marker := request.node.get_closest_marker("not_on_citus")) is not None:
        pytest.skip(f"not on Citus: {marker.args[0]}")


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Iterator[Databases]:
    of = CitusDatabases if servers.postgres.kind == CLUSTER else Databases
    made = of(servers.postgres.address)
    yield made
    asyncio.run(made.drop_left())


@pytest.fixture
def own_kafka(servers: Servers) -> Iterator[KafkaServer]:
    """A Kafka of this test alone, of the kind the others use: to be stopped, crashed and paused."""
    made = pick(kafka_candidates(), servers.kafka.kind).server
    yield made
    made.close()


@pytest.fixture
def own_postgres(servers: Servers) -> Iterator[PostgresServer]:
    """A Postgres of this test alone; `Databases(own_postgres.dsn())` makes databases on it."""
    if servers.postgres.kind == CLUSTER:
        pytest.skip("needs a Postgres of its own, to be stopped and started: no test starts a Citus cluster")
    made = pick(postgres_candidates(), servers.postgres.kind).server
    yield made
    made.close()


@pytest.fixture
async def dsn(databases: Databases) -> AsyncIterator[str]:
    """A fresh, migrated database, as its superuser."""
    made = await databases.create()
    yield made
    await databases.drop_later(made)


@pytest.fixture
async def empty_dsn(databases: Databases) -> AsyncIterator[str]:
    """A fresh database with nothing in it."""
    made = await databases.create(migrated=False)
    yield made
    await databases.drop_later(made)


@pytest.fixture
def topic_prefix() -> str:
    """Put before the names of topics and groups, so that tests do not see each other."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def values(dsn: str, stack: Addresses, topic_prefix: str) -> dict[str, Any]:
    """The settings of a test by name, for the settings class of any package: `MeterSettings(**values)`."""
    return {
        "postgres_dsn": dsn,
        "kafka_bootstrap": stack.kafka_bootstrap,
        "topic_prefix": topic_prefix,
        "partitions": PARTITIONS,
        "replication_factor": 1,
        "http_host": "127.0.0.1",
        "http_port": 0,
        "poll_ms": 20,
        "grace_s": 25.0,  # of the product: draining may wait for a broker, and for each client that is closed
        "retry_first_s": 0.05,
        "retry_max_s": 0.5,
        **(EMBEDDED if stack.kafka_kind == "embedded" else {}),
    }


@pytest.fixture
def env(values: dict[str, Any]) -> dict[str, str]:
    """The same as environment variables, for real processes."""
    return {f"METERING_{name.upper()}": str(value) for name, value in values.items()}


@pytest.fixture
def settings(values: dict[str, Any]) -> Settings:
    return Settings(**values)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool on the test's database."""
    opened = await open_pool(settings, "tests")
    yield opened
    await close_pool(opened)


@pytest.fixture
async def installed(values: dict[str, Any]) -> None:
    """What `meter setup` makes, but for the roles: shards, cursors and topics."""
    # Imported where they are used: a unit test needs no admin client.
    from meter.settings import SetupSettings
    from meter.setup import set_up

    async for _ in set_up(SetupSettings(**values), SystemClock(), roles=False):
        pass


@pytest.fixture
def processes(env: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Real processes with the test's settings; those that are left are ended."""
    made = Processes(env, tmp_path)
    yield made
    made.close()


@pytest.fixture
def mail() -> Iterator[MailSink]:
    """A mail server that keeps what it gets and answers as it is told."""
    sink = MailSink()
    sink.start()
    yield sink
    sink.close()
