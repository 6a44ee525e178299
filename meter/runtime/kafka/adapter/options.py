"""Connection options that every Kafka client of the services has in common."""

import ssl
from typing import Any

from meter.runtime.kafka.adapter.logins import follow_logins, followed
from meter.runtime.kafka.adapter.pacing import pace_requests
from meter.runtime.settings import Settings
from meter.runtime.tls import FollowingContext

REQUEST_TIMEOUT_MS = 60_000
RETRY_BACKOFF_MS = 100
METADATA_AGE_MS = 30_000  # a group learns of a topic that was grown within this time


def client_options(settings: Settings) -> dict[str, Any]:
    """Options that consumers, producers and admin clients share."""
    follow_logins()
    pace_requests()
    return {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": make_ssl_context(settings),
        "sasl_mechanism": settings.kafka_sasl_mechanism if settings.kafka_sasl_username else "PLAIN",
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": find_password(settings),
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "metadata_max_age_ms": METADATA_AGE_MS,
    }


def find_password(settings: Settings) -> str | None:
    given, file = settings.kafka_sasl_password, settings.secret_file("kafka_sasl_password")
    if given is None:
        return None
    return given.get_secret_value() if file is None else followed(file.read(), file)


def make_ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    return FollowingContext.of(settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
