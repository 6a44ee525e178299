"""Waiting goes on while something gets on, and ends soon where nothing does; a container that ended is said at once."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.local import containers
from deploy.local.child import UnavailableError
from deploy.local.patience import Patience
from tests.containers.standins.kafka import run


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    return Patience(still_s=90, most_s=600, step=1.0, clock=clock)


def test_what_gets_on_slowly_is_waited_for(patience: Patience, clock: Clock) -> None:
    for second in range(0, 590, 80):
        clock.now_s = second
        patience.note(second / 80)
        assert patience.over is None


def test_what_stands_still_is_given_up(patience: Patience, clock: Clock) -> None:
    patience.note(5.0)
    clock.now_s = 91
    patience.note(5.9)  # less than a step
    assert patience.over == "it did nothing for 90 s"


def test_there_is_an_end_for_what_is_busy_for_ever(patience: Patience, clock: Clock) -> None:
    for second in range(0, 620, 10):
        clock.now_s = second
        patience.note(second)
    assert patience.over == "it was not ready after 600 s"


class EndedContainer:
    """As the engine shows one whose program failed in its first second."""

    status = "running"
    attrs: dict[str, Any] = {"State": {"ExitCode": 1}}  # noqa: RUF012
    id = "made-up"
    client = SimpleNamespace(
        api=SimpleNamespace(stats=lambda *_a, **_o: {"cpu_stats": {"cpu_usage": {"total_usage": 0}}})
    )
    looks: Iterator[str] = iter(["running", "exited"])

    def reload(self) -> None:
        self.status = next(self.looks)

    def start(self) -> None: ...

    def logs(self, **_: Any) -> bytes:
        return b"KeyError: 'KAFKA_LOG_DIRS'\n"


def test_a_container_that_ended_is_said_at_once_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "engine_host", lambda: "localhost")
    made = containers.PostgresInContainer()
    ended = EndedContainer()
    made._container = SimpleNamespace(get_wrapped_container=lambda: ended)
    with pytest.raises(UnavailableError, match=r"(?s)ended with code 1 while it started.*KAFKA_LOG_DIRS"):
        made.start()


def test_kafkas_settings_are_those_of_the_broker_without_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "engine_host", lambda: "localhost")
    given = containers.KafkaInContainer()._environment
    written = {run.name_of(name): value for name, value in given.items() if name not in run.NO_PROPERTIES}
    assert written.items() >= {"process.roles": "broker,controller", "log.index.size.max.bytes": "1048576"}.items()
    assert all("_" not in name for name in written)
