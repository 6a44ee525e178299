"""Asks Kafka whether it answers, for readiness."""

from meter.runtime.kafka.adapter.admin import BrokerConnection
from meter.runtime.settings import Settings

REQUEST_TIMEOUT_MS = 2000
CLOSE_S = 0.5


class KafkaProbe:
    """Ready when any broker answers. Whether each partition has a leader is for the loops to find out."""

    name = "kafka"
    where: str | None = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: BrokerConnection | None = None

    async def ask(self) -> None:
        if self._connection is None:
            self._connection = BrokerConnection(
                self._settings, client_id="credit-probe", request_timeout_ms=REQUEST_TIMEOUT_MS
            )
            await self._connection.connect()
        await self._connection.ask()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.stop(CLOSE_S)
