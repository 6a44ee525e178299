"""Asks Kafka whether it answers and lets us in, for readiness."""

from meter.runtime.kafka.adapter.admin import BrokerConnection
from meter.runtime.kafka.adapter.logins import LOGINS
from meter.runtime.kafka.connecting import not_connected
from meter.runtime.kafka.failures import is_transient
from meter.runtime.settings import Settings

REQUEST_TIMEOUT_MS = 2000
CLOSE_S = 0.5


class KafkaProbe:
    """Ready when any broker answers. Whether each partition has a leader is for the loops to find out.

    The connection of the probe may outlive what it was let in with. So where another connection of the process has
    failed, the probe connects anew: a client would hide for ever that its login is refused.
    """

    name = "kafka"
    where: str | None = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: BrokerConnection | None = None

    async def ask(self) -> None:
        if LOGINS.take_failure():
            await self.close()
        connection = self._connection or await self._connect()
        await connection.ask()

    async def _connect(self) -> BrokerConnection:
        """Raises DependencyUnreachableError, which names the cause: a login that is refused, a certificate, …"""
        connection = self._connection = BrokerConnection(
            self._settings, client_id="credit-probe", request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            await connection.connect()
        except Exception as error:
            if not is_transient(error):
                raise
            raise await not_connected(error, self._settings) from error
        LOGINS.take_failure()  # of one of several brokers
        return connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.stop(CLOSE_S)
