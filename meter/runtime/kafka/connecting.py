"""Why no connection to Kafka came about, as a sentence: what was tried, which variable, what to do."""

import ssl
from typing import Final

from meter.runtime.errors import DependencyUnreachableError, LoginRefusedError
from meter.runtime.kafka.adapter.handshake import try_handshake
from meter.runtime.kafka.failures import (
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    describe,
)
from meter.runtime.settings import Settings
from meter.runtime.tls import explain_certificate

HANDSHAKE_S: Final = 5.0
# The connection stood, and was closed at the first words: mostly, but not surely, a listener of another kind.
CLOSED: Final = (ConnectionResetError, BrokenPipeError, KafkaConnectionError)


async def not_connected(error: BaseException, settings: Settings) -> DependencyUnreachableError:
    """The error to raise for one that the client raised. Asks a broker once more, and hears the cause."""
    cause = await try_handshake(settings, HANDSHAKE_S)
    address = settings.kafka_bootstrap
    if (refusal := explain_refusal(cause, settings)) is not None:
        return LoginRefusedError(f"kafka at {address} {refusal}", dependency="kafka")
    if isinstance(cause, CLOSED):
        protocol = settings.kafka_security_protocol
        said = f"it closed the connection. Is METERING_KAFKA_SECURITY_PROTOCOL={protocol} what this listener speaks?"
        if protocol.endswith("SSL") and settings.kafka_ssl_certfile is None:
            said += " Or does it want a certificate of ours (METERING_KAFKA_SSL_CERTFILE, METERING_KAFKA_SSL_KEYFILE)?"
        elif protocol.endswith("SSL"):
            said += " Or does it not trust METERING_KAFKA_SSL_CERTFILE?"
    else:
        said = describe(cause or error)
    return DependencyUnreachableError(f"kafka: connecting to {address}: {said}", dependency="kafka")


def explain_refusal(cause: Exception | None, settings: Settings) -> str | None:
    """What is surely a fault of the settings, here or on the broker. Shows no password."""
    mechanism = settings.kafka_sasl_mechanism
    if isinstance(cause, SaslAuthenticationFailed):
        return (
            f"refuses the login of METERING_KAFKA_SASL_USERNAME={settings.kafka_sasl_username} with {mechanism}: check "
            "METERING_KAFKA_SASL_USERNAME, METERING_KAFKA_SASL_PASSWORD and METERING_KAFKA_SASL_MECHANISM"
        )
    if isinstance(cause, UnsupportedSaslMechanismError):
        return f"does not take METERING_KAFKA_SASL_MECHANISM={mechanism}: set the one that its listener has"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return explain_certificate(cause, "METERING_KAFKA_SSL_CAFILE")
    if isinstance(cause, ssl.SSLError):
        return (
            f"does not speak TLS as METERING_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} asks "
            f"({describe(cause)}): set the protocol that its listener has"
        )
    return None
