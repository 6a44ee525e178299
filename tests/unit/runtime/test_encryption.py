"""Where connections may go without TLS: nowhere but to this machine, unless a setting says so."""

import logging

import pytest
import structlog

from meter.runtime.dsn import parameter
from meter.runtime.encryption import bootstrap_hosts, is_local
from meter.runtime.process.cli import warn_of_plaintext
from meter.runtime.settings import Settings
from notifier.settings import NotifierSettings

AWAY = "postgresql://credit_meter@db.example.com/metering"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "[::1]",
        "",
        "/run/postgresql",
        "@socket",
    ],
)
def test_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    ["kafka", "localhost.example.com", "127.example.com", "10.0.0.1", "0.0.0.0", "::2", "fe80::1%lo", "1270.0.0.1"],
)
def test_another_machine(host: str) -> None:
    assert not is_local(host)


@pytest.mark.parametrize(
    ("bootstrap", "hosts"),
    [("a:1,b:2", ["a", "b"]), ("[::1]:9092", ["::1"]), (" a:1 , ", ["a"]), ("kafka", ["kafka"]), ("", [])],
)
def test_the_hosts_of_brokers(bootstrap: str, hosts: list[str]) -> None:
    assert bootstrap_hosts(bootstrap) == hosts


@pytest.mark.parametrize(
    ("values", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"kafka_bootstrap": "127.0.0.1:1,[::1]:2"}, "PLAINTEXT"),
        ({"kafka_bootstrap": "kafka.example.com:9092"}, "SSL"),
        ({"kafka_bootstrap": "localhost:9092,kafka.example.com:9092"}, "SSL"),
        ({"kafka_bootstrap": "kafka:9092", "plaintext_hosts": "mail, KAFKA"}, "PLAINTEXT"),
        ({"kafka_bootstrap": "kafka:9092,other:9092", "plaintext_hosts": "kafka"}, "SSL"),
        ({"kafka_ssl_cafile": "ca.pem"}, "SSL"),
        ({"kafka_sasl_username": "u", "kafka_sasl_password": "p"}, "SASL_PLAINTEXT"),
        ({"kafka_bootstrap": "k:1", "kafka_sasl_username": "u", "kafka_sasl_password": "p"}, "SASL_SSL"),
        ({"kafka_bootstrap": "k:1", "kafka_security_protocol": "PLAINTEXT"}, "PLAINTEXT"),
    ],
)
def test_how_brokers_are_talked_to(values: dict[str, str], protocol: str) -> None:
    assert Settings.model_validate(values).kafka_security_protocol == protocol


def test_a_user_name_without_a_password_is_a_fault_where_the_protocol_follows_from_it() -> None:
    with pytest.raises(ValueError, match="kafka_sasl_password"):
        Settings(kafka_bootstrap="k:1", kafka_sasl_username="u")


@pytest.mark.parametrize(
    ("dsn", "values", "mode", "authorities"),
    [
        (AWAY, {}, "verify-full", "system"),
        (AWAY, {"postgres_ssl_cafile": "/ca 1.pem"}, "verify-full", "/ca 1.pem"),
        (AWAY, {"postgres_password": "p&sslmode=disable"}, "verify-full", "system"),
        (
            f"{AWAY}?sslmode=verify-full&sslrootcert=/own.pem",
            {"postgres_ssl_cafile": "/ca.pem"},
            "verify-full",
            "/own.pem",
        ),
        (f"{AWAY}?sslmode=verify-ca", {}, "verify-ca", "system"),
        (f"{AWAY}?sslmode=disable", {}, "disable", None),
        (f"{AWAY}?sslmode=require", {"postgres_ssl_cafile": "/ca.pem"}, "require", None),
        (AWAY, {"plaintext_hosts": "db.example.com"}, None, None),
        ("postgresql://a@localhost,db.example.com:6432/m", {}, "verify-full", "system"),
        ("postgresql:///m?host=/run/postgresql", {}, None, None),
        ("postgresql:///m?host=db.example.com", {}, "verify-full", "system"),
        ("postgresql://a@localhost/m?sslmode=verify-full", {}, "verify-full", "system"),
        ("postgresql://a@[::1]:5432/m", {}, None, None),
        ("postgresql://a@%2Frun%2Fpostgresql/m", {}, None, None),
    ],
)
def test_how_postgres_is_talked_to(dsn: str, values: dict[str, str], mode: str | None, authorities: str | None) -> None:
    made = Settings.model_validate({"postgres_dsn": dsn} | values).postgres_dsn
    assert (parameter(made, "sslmode"), parameter(made, "sslrootcert")) == (mode, authorities)


@pytest.mark.parametrize(
    ("values", "security"),
    [
        ({}, "auto"),
        ({"smtp_host": "mail.example.com"}, "starttls"),
        ({"smtp_host": "mail", "plaintext_hosts": "mail"}, "auto"),
        ({"smtp_host": "mail.example.com", "smtp_security": "none"}, "none"),
        ({"smtp_host": "mail.example.com", "smtp_security": "tls"}, "tls"),
    ],
)
def test_how_the_mail_server_is_talked_to(values: dict[str, str], security: str) -> None:
    assert NotifierSettings.model_validate(values).smtp_demands == security


def test_one_warning_names_everything_that_goes_in_clear() -> None:
    hosts = {"kafka_bootstrap": "kafka:9092", "postgres_dsn": "postgresql://a@pg/m", "smtp_host": "mail"}
    settings = NotifierSettings.model_validate(hosts | {"plaintext_hosts": "kafka,pg,mail"})
    with structlog.testing.capture_logs() as lines:
        warn_of_plaintext(settings, kafka=True)
    [line] = lines
    assert (
        line["event"] == "connections_without_tls"
        and line["log_level"] == logging.getLevelName(logging.WARNING).lower()
    )
    assert (line["kafka"], line["postgres"], line["smtp"]) == (
        "kafka:9092 (PLAINTEXT)",
        "pg (sslmode prefer)",
        "mail (auto)",
    )
    assert "METERING_PLAINTEXT_HOSTS" in line["detail"]


@pytest.mark.parametrize(
    "values",
    [{}, {"kafka_bootstrap": "kafka:9092", "postgres_dsn": "postgresql://a@pg/m", "smtp_host": "mail"}],
    ids=["this machine", "with TLS"],
)
def test_no_warning_where_nothing_goes_in_clear(values: dict[str, str]) -> None:
    with structlog.testing.capture_logs() as lines:
        warn_of_plaintext(NotifierSettings.model_validate(values), kafka=True)
    assert lines == []


def test_a_certificate_that_is_not_checked_is_warned_of() -> None:
    settings = NotifierSettings.model_validate({"smtp_host": "mail", "smtp_verify": False})
    assert settings.without_tls() == {"smtp": "mail (certificate not checked)"}
    required = Settings(postgres_dsn="postgresql://a@pg/m?sslmode=require")
    assert required.without_tls() == {"postgres": "pg (sslmode require)"}
