"""Kafka and Postgres go away, at the start and in flight: not ready, growing pauses, nothing lost."""

from functools import partial
from http import HTTPStatus

import pytest

from deploy.local.stack import Addresses, KafkaServer, PostgresServer
from tests.e2e.running import CREDITS, Running, assert_unharmed
from tests.support.databases import Databases
from tests.support.processes import ServiceProcess
from tests.support.waiting import until

NOTICED_S = 60
BACK_S = 90

pytestmark = pytest.mark.needs_kafka("a broker that is killed and comes back needs its log on disk")


@pytest.fixture
def stack(own_kafka: KafkaServer, own_postgres: PostgresServer) -> Addresses:
    """Servers of this test alone, in place of the ones all tests share."""
    return Addresses(
        postgres_dsn=own_postgres.dsn(),
        postgres_kind=own_postgres.kind,
        kafka_bootstrap=own_kafka.bootstrap,
        kafka_kind=own_kafka.kind,
        picked={},
    )


@pytest.fixture
def databases(stack: Addresses) -> Databases:
    return Databases(stack.postgres_dsn)


async def test_a_broker_that_is_killed_and_comes_back(running: Running, own_kafka: KafkaServer) -> None:
    await running.open("patient")
    await running.use_settled("patient", CREDITS, "30")
    own_kafka.crash()
    await until_ready(running, False, "meter", "notifier")
    await running.use("patient", CREDITS, 10_000_000)  # waits in the producer's buffer
    own_kafka.start()
    await until_ready(running, True)
    await running.settle()
    await assert_unharmed(running, "patient", {50: "delivered"})


async def test_a_database_that_is_killed_and_comes_back(running: Running, own_postgres: PostgresServer) -> None:
    await running.open("patient")
    await running.use_settled("patient", CREDITS, "30")
    own_postgres.crash()
    await running.use("patient", CREDITS, 10_000_000)
    await running.usage.flush()
    await until_ready(running, False)
    own_postgres.start()
    await until_ready(running, True)
    await running.settle()
    await assert_unharmed(running, "patient", {50: "delivered"})
    for service in running.services.values():
        # Its work met the outage, or its own look at the database did, whichever came first.
        assert any(entry.get("dependency") == "postgres" for entry in service.logged()), service.output()


async def test_services_that_start_before_their_servers(
    running: Running, own_kafka: KafkaServer, own_postgres: PostgresServer
) -> None:
    await running.open("patient")
    for service in running.services.values():
        service.terminate()
    assert [service.wait() for service in running.services.values()] == [0, 0, 0]
    own_kafka.stop()
    own_postgres.stop()
    for service in running.services.values():
        service.spawn()
    for service in running.services.values():
        await until(partial(has_tried, service, 3), NOTICED_S, service.output)
        first, _, third = pauses_of(service)[:3]
        assert first < third, service.output()  # each may be twice the one before, less up to half of it
        assert service.running
        assert service.get("/readyz")[0] != HTTPStatus.OK
    own_postgres.start()
    own_kafka.start()
    await until_ready(running, True)
    await running.use_settled("patient", CREDITS, "40")
    await assert_unharmed(running, "patient", {50: "delivered"})


async def until_ready(running: Running, wanted: bool, *names: str) -> None:
    for name in names or running.services:
        service = running.services[name]
        seconds = BACK_S if wanted else NOTICED_S
        await until(partial(answers, service, wanted), seconds, service.output)
        assert service.running, service.output()


def answers(service: ServiceProcess, wanted: bool) -> bool:
    return (service.get("/readyz")[0] == HTTPStatus.OK) is wanted


def pauses_of(service: ServiceProcess) -> list[float]:
    """How long it waited after each time that it said why it cannot work."""
    return [entry["pause_s"] for entry in service.logged("dependency_unreachable") if "pause_s" in entry]


def has_tried(service: ServiceProcess, times: int) -> bool:
    return len(pauses_of(service)) >= times
