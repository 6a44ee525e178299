"""Asks Kafka whether it is there, for readiness."""

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import ApiVersionRequest

from meter.runtime.kafka.client import client_options, stop_quietly
from meter.runtime.settings import Settings

REQUEST_TIMEOUT_MS = 2000
CLOSE_S = 0.5


class KafkaProbe:
    """Any broker counts: which ones lead what is the loops' concern."""

    name = "kafka"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AIOKafkaClient | None = None

    async def ask(self) -> None:
        if self._client is None:
            options = client_options(self._settings) | {"request_timeout_ms": REQUEST_TIMEOUT_MS}
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
