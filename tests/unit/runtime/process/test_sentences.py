"""Faults of settings and of access, as sentences with what was tried, which variable, and what to do."""

import asyncio

import pytest
import typer
from aiokafka import errors as kafka_errors
from asyncpg import InterfaceError

from meter.runtime.errors import DependencyUnreachableError, LoginRefusedError
from meter.runtime.process.cli import run_command
from meter.runtime.settings import Settings

CASES: dict[str, tuple[BaseException, dict[str, str], int, list[str]]] = {
    "an unset address of the database": (
        ConnectionRefusedError(111, "Connection refused"), {}, 2,
        ["postgres", "localhost:5432", "METERING_POSTGRES_DSN is not set"],
    ),
    "a database that is away": (
        ConnectionRefusedError(111, "Connection refused"),
        {"METERING_POSTGRES_DSN": "postgresql://role:hunter2@db.example.com:6432/x"}, 3,
        ["db.example.com:6432", "correct METERING_POSTGRES_DSN"],
    ),
    "an unset address of Kafka": (
        DependencyUnreachableError("no broker", dependency="kafka"), {}, 2,
        ["localhost:9092", "METERING_KAFKA_BOOTSTRAP is not set"],
    ),
    "a Kafka that is away": (
        DependencyUnreachableError("no broker", dependency="kafka"),
        {"METERING_KAFKA_BOOTSTRAP": "kafka.example.com:9092"}, 3,
        ["kafka.example.com:9092", "correct METERING_KAFKA_BOOTSTRAP"],
    ),
    "a Kafka that closes the connection": (
        DependencyUnreachableError("Is SSL what this listener speaks?", dependency="kafka"),
        {"METERING_KAFKA_BOOTSTRAP": "kafka.example.com:9092"}, 3,
        ["listener speaks? If so, see whether it runs, or correct METERING_KAFKA_BOOTSTRAP."],
    ),
    "a login that Kafka refuses": (
        LoginRefusedError("kafka at kafka.example.com:9092 refuses the login", dependency="kafka"),
        {"METERING_KAFKA_BOOTSTRAP": "kafka.example.com:9092"}, 2, ["kafka.example.com:9092 refuses the login"],
    ),
    "a number that no column holds": (
        InterfaceError("invalid input for query argument $1: 99999999999999999999 (value out of int64 range)"), {}, 2,
        ["too large"],
    ),
    "a right on a topic that is missing": (
        kafka_errors.TopicAuthorizationFailedError("metering.usage"), {}, 1,
        ["METERING_KAFKA_SASL_USERNAME", "a topic (metering.usage)", "deploy/kafka-acls.txt"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("error", "environment", "code", "words"), CASES.values(), ids=CASES.keys())
def test_a_fault_is_a_sentence(
    error: BaseException, environment: dict[str, str], code: int, words: list[str],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def command(settings: Settings) -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(typer.Exit) as caught:
        run_command(Settings, command)
    said = capsys.readouterr().err
    assert caught.value.exit_code == code, said
    assert [word for word in words if word not in said] == []
    assert "hunter2" not in said and "Traceback" not in said
