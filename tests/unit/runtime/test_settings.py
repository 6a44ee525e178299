"""Settings: read from the environment, every fault at once, secrets never shown."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from meter.runtime.dsn import describe_hosts
from meter.runtime.environment import ENV_PREFIX, find_typos, known_variables, variable
from meter.runtime.errors import SettingsError
from meter.runtime.settings import Settings, explain_faults, load_settings
from meter.runtime.variable_names import NAMES
from meter.thresholds import ThresholdSettings
from tests.support.settings_classes import settings_classes

CLASSES = settings_classes()


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


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("METERING_POSTGRES_DNS", "METERING_POSTGRES_DSN"),
        ("METERING_KAFKA_BOOTSRAP", "METERING_KAFKA_BOOTSTRAP"),
        ("METERING_MAIL_FORM", "METERING_MAIL_FROM"),  # of another service: it is told as well
    ],
)
def test_a_typo_in_a_name_is_a_fault(variable: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(SettingsError, match=f"{variable}: there is no such setting; did you mean {meant}") as caught:
        load_settings(Settings)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("variable", ["METERING_SERVICE_HOST", "METERING_PORT_8080_TCP", "METERING_TEST_STACK"])
def test_what_is_no_setting_and_no_typo_is_left_alone(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    load_settings(Settings)


def test_no_setting_is_taken_for_a_typo_of_another() -> None:
    known = {name for kind in CLASSES for name in known_variables(kind)}
    assert "METERING_SMTP_HOST" in known
    assert find_typos(Settings, dict.fromkeys(known, "1")) == []


def test_the_names_of_all_settings_are_those_of_the_packages() -> None:
    known = {name.removeprefix(ENV_PREFIX) for kind in CLASSES for name in known_variables(kind)}
    differ = {"add": sorted(known - NAMES), "remove": sorted(NAMES - known)}
    assert differ == {"add": [], "remove": []}, "meter/runtime/variable_names.py"


def test_small_letters_are_read_and_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("metering_partitions", "7")
    monkeypatch.setenv("METERING_KAFKA_BOOTSTRAP", "")
    settings = load_settings(Settings)
    assert (settings.partitions, settings.kafka_bootstrap) == (7, "localhost:9092")


def test_settings_in_code_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_PARTITIONS", "7")
    assert Settings().partitions == 12


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word 1%\n", encoding="utf-8")
    monkeypatch.setenv("METERING_POSTGRES_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("METERING_POSTGRES_DSN", "postgresql://credit_meter@db.example.com/metering?application_name=x")
    settings = load_settings(Settings)
    parameters = parse_qs(urlsplit(settings.postgres_dsn).query)
    assert (parameters["application_name"], parameters["password"]) == (["x"], ["p@ss/word 1%"])
    assert describe_hosts(settings.postgres_dsn) == "db.example.com"
    assert "p@ss" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "No such file or directory"), (b"\n", "empty"), (b"\xff\xfe", "not UTF-8")]
)
def test_a_file_without_a_secret_is_a_fault(
    content: bytes | None, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    monkeypatch.setenv("METERING_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(SettingsError, match=f"METERING_KAFKA_SASL_PASSWORD_FILE: .*{fault}"):
        load_settings(Settings)


def test_a_secret_stands_in_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("one", encoding="utf-8")
    monkeypatch.setenv("METERING_POSTGRES_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("METERING_POSTGRES_PASSWORD", "another")
    with pytest.raises(SettingsError, match="is set as well"):
        load_settings(Settings)


def test_a_file_for_what_is_no_secret_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_POSTGRES_DSN_FILE", "/run/secrets/dsn")
    with pytest.raises(
        SettingsError, match="METERING_POSTGRES_DSN_FILE: only a secret may stand in a file; set METERING_POSTGRES_DSN"
    ):
        load_settings(Settings)


FOREIGN = re.compile(r"Input|Value error|should|[Vv]alid |unable to|pattern|instance|<class|\[type|None")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_bad_value_is_answered_in_the_words_of_a_library(kind: type[Settings]) -> None:
    """Each fault names its variable; one of a value also says what the setting is for."""
    faults = [(field, fault) for field in kind.model_fields for fault in find_faults(kind, field)]
    assert len(faults) > 20
    assert [fault for _, fault in faults if FOREIGN.search(fault)] == []
    assert [fault for field, fault in faults if variable(field) not in fault] == []


def find_faults(kind: type[Settings], field: str) -> Iterator[str]:
    for value in ("", " ", "x", "-1", "1e400", "nan", "9" * 30, "a b\x00", "\u00e9"):
        try:
            kind.model_validate({field: value})
        except ValidationError as error:
            yield from explain_faults(kind, error)


def test_settings_that_belong_together_are_named_by_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_KAFKA_SSL_CERTFILE", "client.pem")
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings)
    assert "METERING_KAFKA_SSL_CERTFILE and METERING_KAFKA_SSL_KEYFILE belong together" in str(caught.value)


def test_one_of_a_list_is_named_by_the_variable_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_BANNER_THRESHOLDS", "20,half")
    with pytest.raises(SettingsError, match=r"THRESHOLDS: is no whole number \(percents of"):
        load_settings(ThresholdSettings)


@pytest.mark.parametrize(("name", "value"), [("STALL_S", "30"), ("POSTGRES_TIMEOUT_S", "15")])
def test_a_publication_of_a_service_ends_before_what_would_end_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"METERING_{name}", value)
    said = (
        rf"METERING_KAFKA_PUBLISH_TIMEOUT_S=30 must be below .*METERING_{name}={value}\b.*Lower it, or raise the others"
    )
    with pytest.raises(SettingsError, match=said):
        load_settings(Settings).check_publish_timeout()
    monkeypatch.setenv("METERING_KAFKA_PUBLISH_TIMEOUT_S", "29.9")
    load_settings(Settings).check_publish_timeout()


def test_who_has_no_outbox_may_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Producers of applications share these settings, and neither the watchdog nor Postgres ends what they do."""
    monkeypatch.setenv("METERING_KAFKA_PUBLISH_TIMEOUT_S", "60")
    assert load_settings(Settings).kafka_publish_timeout_s == 60
