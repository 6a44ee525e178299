"""Is it reachable right now? For readiness only: the loops find out by themselves, but that may take them a minute.

aiokafka hides an outage (it retries inside, and "no records" looks like an idle topic), and an idle pool knows nothing
of its server. So every service asks both, once a second, over connections of its own that nothing else can hold up.
"""

import asyncio
from typing import Any, Protocol

import asyncpg
import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import ApiVersionRequest

from meter.runtime.health import Health
from meter.runtime.kafka_client import client_options, stop_quietly
from meter.runtime.postgres import connect
from meter.runtime.settings import Settings

log = structlog.get_logger(component="probes")

# The pause, an answer that does not come and a new connection that does not come up: 4.5 s at most until it is said.
PAUSE_S = 1.0
ANSWER_S = 2.0
RECONNECT_S = 1.5
CLOSE_S = 0.5


class Probe(Protocol):
    """Something outside that can be asked whether it is there."""

    name: str

    async def ask(self) -> None:
        """Connect where there is no connection, and get an answer. Raises; has no deadline of its own."""
        ...

    async def close(self) -> None:
        """Drop the connection, soon and without an error."""
        ...


class KafkaProbe:
    """Any broker counts: which ones lead what is the loops' concern."""

    name = "kafka"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AIOKafkaClient | None = None

    async def ask(self) -> None:
        if self._client is None:
            options = client_options(self._settings) | {"request_timeout_ms": int(ANSWER_S * 1000)}
            self._client = AIOKafkaClient(**options, client_id="credit-probe")
            await self._client.bootstrap()
        node = self._client.get_random_node()
        if node is None:
            raise ConnectionError("no broker is known")
        await self._client.send(node, ApiVersionRequest())

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await stop_quietly(client, CLOSE_S)


class PostgresProbe:
    """A server that only reads, after a fail-over, is not the one that is needed."""

    name = "postgres"

    def __init__(self, settings: Settings, application_name: str) -> None:
        self._dsn = settings.postgres_dsn
        self._application_name = application_name
        self._connection: asyncpg.Connection[Any] | None = None

    async def ask(self) -> None:
        if self._connection is None:
            self._connection = await connect(self._dsn, self._application_name)
        if await self._connection.fetchval("SELECT pg_is_in_recovery()"):
            raise ConnectionError("the server is read-only")

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def watch_reachable(probe: Probe, health: Health) -> None:
    """Tell `health`, until cancelled, whether the other side answers."""
    reachable = True
    try:
        while True:
            detail = await find_fault(probe)
            if reachable and detail is not None:
                log.warning("dependency_lost", dependency=probe.name, detail=detail)
            elif not reachable and detail is None:
                log.info("dependency_found", dependency=probe.name)
            reachable = detail is None
            health.set_reachable(probe.name, reachable)
            await asyncio.sleep(PAUSE_S)
    finally:
        await probe.close()


async def find_fault(probe: Probe) -> str | None:
    """None when it answers. One lost connection proves nothing, so a failure is confirmed over a new one."""
    fault = None
    for deadline_s in (ANSWER_S, RECONNECT_S):
        try:
            async with asyncio.timeout(deadline_s):
                await probe.ask()
            return None
        except Exception as error:  # whatever it is: it did not answer, and the loops judge what it means
            fault = str(error) or type(error).__name__
            await probe.close()
    return fault
