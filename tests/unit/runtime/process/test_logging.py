"""What the libraries' logs become: JSON lines like ours, and few of them."""

import json
import logging
import socket
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import structlog

from meter.runtime.process.logging import MOST_KINDS, RepeatFilter, configure_logging
from meter.runtime.settings import Settings


@pytest.fixture
def _configured() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("_configured")
def test_an_outage_is_a_few_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("meter", Settings())
    log = logging.getLogger("aiokafka.consumer.fetcher")
    for number in range(2000):
        log.error("Failed fetch messages from %s: %s", number % 3, OSError("refused"))
        log.error("Unable to update metadata from %s", [1])
        log.warning("left out: below the libraries' level")
    lines = read_lines(capsys.readouterr().out)
    assert [line["event"] for line in lines] == [
        "Failed fetch messages from 0: refused",
        "Unable to update metadata from [1]",
    ]
    assert {(line["logger"], line["level"], line["service"]) for line in lines} == {
        ("aiokafka.consumer.fetcher", "warning", "meter")
    }


@pytest.mark.usefixtures("_configured")
def test_other_libraries_keep_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    """asyncio's tell of a bug: deploy/README.md, Logs, has whoever is on call come for an error."""
    configure_logging("meter", Settings())
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    assert [line["level"] for line in read_lines(capsys.readouterr().out)] == ["error"]


@pytest.mark.usefixtures("_configured")
def test_the_next_line_says_how_many_were_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    made = RepeatFilter(30, lambda: now)
    monkeypatch.setattr("meter.runtime.process.logging.RepeatFilter", lambda: made)
    configure_logging("meter", Settings())
    log = logging.getLogger("aiokafka")
    for _ in range(5):
        log.error("Unable connect to node with id %s", 1)
    now = 29.9
    log.error("Unable connect to node with id %s", 1)
    now = 30.0
    log.error("Unable connect to node with id %s", 1)
    now = 61.0
    log.error("Unable connect to node with id %s", 1)
    assert [line.get("repeated") for line in read_lines(capsys.readouterr().out)] == [None, 5, None]


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("asyncio", logging.ERROR, "", 0, message, None, None)


def test_messages_that_differ_in_numbers_only_are_of_a_kind() -> None:
    chosen = RepeatFilter(30, lambda: 0.0)
    assert chosen.filter(record("Task was destroyed: <Task-17 at 0x7f00beef>\nmore"))
    assert not chosen.filter(record("Task was destroyed: <Task-18 at 0x7f00cafe>\nother"))
    assert chosen.filter(record("Task is odd: <Task-18>"))


def test_kinds_are_forgotten_before_they_fill_the_memory() -> None:
    chosen = RepeatFilter(30, lambda: 0.0)
    names = [f"kind {'abcdefghij'[n // 100]}{'abcdefghij'[n // 10 % 10]}{'abcdefghij'[n % 10]}" for n in range(1000)]
    assert all(chosen.filter(record(name)) for name in names)
    assert len(chosen._kinds) <= MOST_KINDS


@pytest.mark.usefixtures("_configured")
def test_a_line_says_which_process_of_which_version_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    instances = set()
    for _ in range(2):
        configure_logging("meter", Settings())
        structlog.get_logger(component="service").info("service_started")
        logging.getLogger("asyncpg").error("a library's line")
        lines = read_lines(capsys.readouterr().out)
        assert {line["version"] for line in lines} == {version("credit-meter")}
        [instance] = {line["instance"] for line in lines}
        assert instance.startswith(socket.gethostname() + "-")
        instances.add(instance)
    assert len(instances) == 2, "the process after a restart on the same host is another"
