"""Readiness of a real service follows its servers, both ways, within seconds."""

import asyncio
from typing import Any

import asyncpg
import pytest

from deploy.local.stack import KafkaServer, PostgresServer
from meter.runtime.kafka.probe import KafkaProbe
from meter.runtime.postgres.probe import PostgresProbe
from meter.runtime.process.health import Health
from meter.runtime.process.probes import Probe, find_fault, watch_reachable
from meter.runtime.settings import Settings
from tests.support import until
from tests.support.processes import Processes, ServiceProcess
from tests.support.working_time import within

NOTICED_S = 6
BACK_S = 30


async def follow(probe: Probe, lose: Any, restore: Any) -> None:
    health = Health()
    health.set_ready(probe.name, True)
    watching = asyncio.create_task(watch_reachable(probe, health))
    try:
        await until(lambda: health._reachable == {probe.name: True})
        await asyncio.to_thread(lose)
        with within(NOTICED_S):
            await until(lambda: not health.ready)
        await asyncio.to_thread(restore)
        await until(lambda: health.ready, timeout_s=BACK_S)
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def test_a_kafka_that_hangs_or_dies_is_noticed(settings: Settings, own_kafka: KafkaServer) -> None:
    own = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap})
    await follow(KafkaProbe(own), own_kafka.pause, own_kafka.resume)
    await follow(KafkaProbe(own), own_kafka.crash, own_kafka.start)


async def test_a_postgres_that_hangs_or_dies_is_noticed(settings: Settings, own_postgres: PostgresServer) -> None:
    own = settings.model_copy(update={"postgres_dsn": own_postgres.dsn()})
    await follow(PostgresProbe(own, "probe"), own_postgres.pause, own_postgres.resume)
    await follow(PostgresProbe(own, "probe"), own_postgres.crash, own_postgres.start)


async def test_a_postgres_that_takes_no_writes_is_noticed(settings: Settings, dsn: str) -> None:
    """An old primary after a fail-over, or a full disk: it is no standby, and answers all the same."""
    probe = PostgresProbe(settings.model_copy(update={"postgres_dsn": dsn}), "probe")
    await probe.ask()
    await probe.close()
    admin = await asyncpg.connect(dsn)
    try:
        database = await admin.fetchval("SELECT quote_ident(current_database())")
        await admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    finally:
        await admin.close()
    fault = await find_fault(probe)
    assert fault is not None and "the server is read-only" in fault and "default_transaction_read_only" in fault


async def test_a_transaction_that_stays_open_is_seen_whoever_has_it(settings: Settings, dsn: str) -> None:
    """It keeps vacuum from its work. A service may not see since when another role has it."""
    probe = PostgresProbe(settings.model_copy(update={"postgres_dsn": dsn}), "probe")
    reader = await asyncpg.connect(dsn)
    try:
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1")

        async def grows() -> bool:
            await probe.ask()
            return probe.oldest_transaction_s > 0.2

        await until(grows)
        await reader.execute("COMMIT")

        async def is_over() -> bool:
            await probe.ask()
            return probe.oldest_transaction_s == 0

        await until(is_over)
    finally:
        await probe.close()
        await reader.close()


def is_idle(service: ServiceProcess) -> bool:
    """All shards are positioned and read: from here on aiokafka keeps an outage to itself."""
    _, metrics = service.get("/metrics")
    return "metering_shards 3.0" in metrics and 'metering_waiting{work="append"} 0.0' in metrics


@pytest.mark.needs_kafka("topics that outlive the broker's process")
async def test_a_service_says_that_its_kafka_is_lost(processes: Processes, own_kafka: KafkaServer) -> None:
    # The member that the outage ended is remembered by the group for a session: as short a one as brokers allow.
    own = {"kafka_bootstrap": own_kafka.bootstrap, "kafka_session_ms": "6000"}
    done = await asyncio.to_thread(processes.run, "meter", "setup", **own)
    assert done.returncode == 0, done.stderr
    service = await asyncio.to_thread(processes.start, "meter", **own)
    await until(lambda: is_idle(service), message=service.output)
    await asyncio.to_thread(own_kafka.crash)

    def status() -> int:
        return service.get("/readyz")[0]

    with within(NOTICED_S):
        await until(lambda: status() == 503, message=service.output)
    assert [entry["dependency"] for entry in service.logged("dependency_lost")] == ["kafka"]
    await asyncio.to_thread(own_kafka.start)
    await until(lambda: status() == 200, timeout_s=BACK_S, message=service.output)
    flood = [entry for entry in service.logged() if str(entry.get("logger")).startswith("aiokafka")]
    assert 0 < len(flood) < 30
