"""What every Kafka client of the services has in common: connection options, codecs, and what an error means."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka.codec import has_gzip, has_lz4, has_snappy, has_zstd

from meter.runtime.errors import SettingsError
from meter.runtime.kafka.codecs import bound_codecs
from meter.runtime.settings import Settings

REQUEST_TIMEOUT_MS = 60_000
RETRY_BACKOFF_MS = 100
FAREWELL_S = 0.5
CLOSE_S = 0.5


def client_options(settings: Settings) -> dict[str, Any]:
    """Options that consumers, producers and admin clients share."""
    password = settings.kafka_sasl_password
    return {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": make_ssl_context(settings),
        "sasl_mechanism": settings.kafka_sasl_mechanism if settings.kafka_sasl_username else "PLAIN",
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "metadata_max_age_ms": 60_000,
    }


def make_ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context


def check_codecs() -> None:
    """A missing codec shows up as an endless fetch error long after the start; find it now. And bound what they do."""
    codecs = {"gzip": has_gzip, "snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}
    missing = [name for name, installed in codecs.items() if not installed()]
    if missing:
        raise SettingsError(f"Kafka codecs are not installed: {', '.join(missing)} (package cramjam)")
    bound_codecs()


async def stop_quietly(
    client: Any, timeout_s: float, *, farewell: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Stop a consumer, producer or admin client within a deadline, whatever state it is in.

    `AIOKafkaConsumer.stop` may raise CancelledError out of its own cancelled fetch tasks, `AIOKafkaProducer.stop`
    flushes without end while brokers are down. So the stop runs as a task of its own, is given up at the deadline, and
    the sockets are closed in any case. Before that comes `farewell`, where the stop was given up half-way.
    """
    if not await give_up_after(timeout_s, call_stop(client)) and farewell is not None:
        await give_up_after(FAREWELL_S, farewell())
    inner = getattr(client, "_client", None) or getattr(client, "client", None)
    if inner is not None:
        await give_up_after(CLOSE_S, inner.close())


async def give_up_after(timeout_s: float, call: Coroutine[Any, Any, None]) -> bool:
    """Whether it ended in time. Errors are seen, on purpose not raised: the state that counts is in Postgres."""
    task = asyncio.create_task(call)
    _, late = await asyncio.wait({task}, timeout=timeout_s)
    if late:
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_S)
    if task.done() and not task.cancelled():
        task.exception()
    return not late


async def call_stop(client: Any) -> None:
    await (client.close() if hasattr(client, "close") else client.stop())
