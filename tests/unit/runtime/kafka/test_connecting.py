"""A connection that Kafka refuses is a sentence with the variable at fault, and never with the password."""

import ssl

import pytest
from aiokafka.errors import SaslAuthenticationFailed, UnsupportedSaslMechanismError

from meter.runtime.errors import LoginRefusedError
from meter.runtime.kafka import connecting
from meter.runtime.settings import Settings

SETTINGS = Settings(
    kafka_bootstrap="kafka.example.com:9092",
    kafka_security_protocol="SASL_SSL",
    kafka_sasl_username="credits",
    kafka_sasl_password="hunter2",
)
UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")
UNTRUSTED.verify_message, UNTRUSTED.verify_code = "self-signed certificate", 18


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (SaslAuthenticationFailed("hunter2"), "METERING_KAFKA_SASL_USERNAME=credits with SCRAM-SHA-512"),
        (UnsupportedSaslMechanismError(), "METERING_KAFKA_SASL_MECHANISM=SCRAM-SHA-512"),
        (UNTRUSTED, "(self-signed certificate): METERING_KAFKA_SSL_CAFILE"),
        (ssl.SSLError(1, "wrong version number"), "METERING_KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
    ],
)
async def test_a_refusal_names_the_variable(cause: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "try_handshake", answering(cause))
    error = await connecting.not_connected(RuntimeError("Unable to bootstrap"), SETTINGS)
    assert isinstance(error, LoginRefusedError) and error.dependency == "kafka"
    said = str(error)
    assert said.startswith("kafka at kafka.example.com:9092 ") and words in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed"), "Connect call failed"),
        (ConnectionResetError(), "Is METERING_KAFKA_SECURITY_PROTOCOL=SASL_SSL what this listener speaks?"),
        (TimeoutError(), "no answer came in time"),
        (None, "Unable to bootstrap"),
    ],
)
async def test_what_may_pass_is_no_refusal(
    cause: Exception | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "try_handshake", answering(cause))
    error = await connecting.not_connected(RuntimeError("Unable to bootstrap"), SETTINGS)
    assert not isinstance(error, LoginRefusedError)
    assert words in str(error)


def answering(cause: Exception | None) -> object:
    async def try_handshake(_settings: Settings, _timeout_s: float) -> Exception | None:
        return cause

    return try_handshake
