"""A secret of a file is what the file holds now; while it cannot be used, the one before."""

from pathlib import Path
from typing import Any

import pytest

from meter.runtime.postgres.hosts import hosts_for
from meter.runtime.secret_file import SecretFile
from meter.runtime.settings import Settings, load_settings

VARIABLE = "METERING_POSTGRES_PASSWORD_FILE"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "password"
    made.write_text("first\n")
    return made


def load(monkeypatch: pytest.MonkeyPatch, **variables: Any) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"METERING_{name.upper()}", str(value))
    return load_settings(Settings)


def test_it_is_what_the_file_holds_now(file: Path) -> None:
    secret = SecretFile(VARIABLE, file, "first")
    assert secret.read() == "first"
    file.write_text("second\n")
    assert secret.read() == "second"
    other = file.with_name("other")
    other.write_text("third")
    other.replace(file)  # as Kubernetes does
    assert secret.read() == "third"


@pytest.mark.parametrize("spoil", ["empty", "gone", "no text"])
def test_the_one_before_stays_while_the_file_cannot_be_used(
    file: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = SecretFile(VARIABLE, file, "first")
    assert secret.read() == "first"
    if spoil == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if spoil == "empty" else b"\xff\xfe")
    assert [secret.read(), secret.read()] == ["first", "first"]
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"secret_unreadable: {VARIABLE}: the file ") and "first" not in line
    file.write_text("second")
    assert secret.read() == "second"


def test_settings_follow_the_files_they_were_read_from(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    settings = load(monkeypatch, postgres_password_file=file, kafka_sasl_username="us", kafka_sasl_password="fixed")
    copy = settings.model_copy(update={"partitions": 3})
    file.write_text("second")
    assert [one.secret("postgres_password") for one in (settings, copy)] == ["second", "second"]
    assert settings.secret("kafka_sasl_password") == "fixed" and settings.secret_file("kafka_sasl_password") is None


def test_a_password_in_front_of_the_host_wins(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    settings = load(monkeypatch, postgres_password_file=file, postgres_dsn="postgresql://role:own@localhost/own")
    assert hosts_for(settings).password is None
    settings = load(monkeypatch, postgres_password_file=file, postgres_dsn="postgresql://role@localhost/from-file")
    password = hosts_for(settings).password
    assert password is not None and password() == "first"
