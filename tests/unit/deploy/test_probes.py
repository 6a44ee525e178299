"""A port where something else listens, or nothing at all, is no server of ours."""

import random
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from deploy.local import kafka_probe, ports, postgres_probe

PROBES = [kafka_probe.answers, postgres_probe.answers]
Probe = Callable[[str, int], bool]


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that takes connections and closes them after the first bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("probe", PROBES)
def test_nobody_is_no_server(probe: Probe) -> None:
    assert not probe("127.0.0.1", ports.free_port())


@pytest.mark.parametrize("probe", PROBES)
def test_a_stranger_is_no_server(probe: Probe, stranger: int) -> None:
    assert not probe("127.0.0.1", stranger)


def test_a_free_port_is_below_those_of_outgoing_connections() -> None:
    assert all(ports.FIRST <= ports.free_port() < ports.LAST for _ in range(20))


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free("127.0.0.1", server.getsockname()[1])


def test_a_port_is_not_given_twice_to_who_asks_for_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on the first one yet when the second is asked for: with two listeners on it no broker starts."""
    drawn = iter([ports.FIRST, ports.FIRST, ports.FIRST + 1])
    monkeypatch.setattr(random.SystemRandom, "randrange", lambda *_: next(drawn))
    monkeypatch.setattr(ports, "is_free", lambda *_: True)
    monkeypatch.setattr(ports, "_given", deque())
    assert [ports.free_port(), ports.free_port()] == [ports.FIRST, ports.FIRST + 1]


def test_workers_of_one_run_are_given_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    given = []
    for number in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        given.append({(ports.free_port() - ports.FIRST) % 3 for _ in range(20)})
    assert given == [{0}, {1}, {2}]
