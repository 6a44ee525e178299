"""One connection as the clients make it, to see why theirs failed: they log the cause and raise the same for all."""

import asyncio
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from meter.runtime.kafka.adapter.logins import look_up
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.settings import Settings

OF_A_CONNECTION = (
    "security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password",
)  # fmt: skip


async def try_handshake(settings: Settings, timeout_s: float) -> Exception | None:
    """What the last of the brokers made of it; None once one answers as it should. Looking names up does not count."""
    options = {name: value for name, value in client_options(settings).items() if name in OF_A_CONNECTION}
    failure: Exception | None = None
    for host, port, _family in collect_hosts(settings.kafka_bootstrap):
        try:
            looked_up_s = await look_up(host, port)
            async with asyncio.timeout(timeout_s + 2 * looked_up_s):  # a connection looks it up twice
                await ask(host, port, options)
        except (OSError, KafkaError, TimeoutError) as error:
            failure = error
        else:
            return None
    return failure


async def ask(host: str, port: int, options: dict[str, Any]) -> None:
    connection = await create_conn(host, port, client_id="credit-handshake", **options)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()
