"""Settings: read from the environment, every fault at once, secrets never shown."""

import pytest

from meter.runtime.errors import SettingsError
from meter.runtime.settings import Settings, load_settings


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_PARTITIONS", "7")
    monkeypatch.setenv("METERING_TOPIC_PREFIX", "blue_")
    settings = load_settings(Settings)
    assert settings.partitions == 7
    assert settings.topic("metering.usage") == "blue_metering.usage"
    assert settings.group("meter") == "blue_credit-meter"


def test_names_every_fault_at_once_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_PARTITIONS", "0")
    monkeypatch.setenv("METERING_STALL_S", "soon")
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings)
    assert "METERING_PARTITIONS" in str(caught.value)
    assert "METERING_STALL_S" in str(caught.value)


def test_faults_do_not_show_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_KAFKA_SECURITY_PROTOCOL", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_in_the_repr() -> None:
    settings = Settings.model_validate(
        {"postgres_dsn": "postgresql://u:hunter2@h/d", "kafka_sasl_password": "hunter3"},
    )
    assert "hunter" not in repr(settings)


def test_sasl_needs_credentials() -> None:
    with pytest.raises(ValueError, match="kafka_sasl_username"):
        Settings(kafka_security_protocol="SASL_SSL")


def test_certificate_and_key_belong_together() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Settings(kafka_ssl_certfile="client.pem")
