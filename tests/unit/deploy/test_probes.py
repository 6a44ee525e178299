"""A port where something else listens, or nothing at all, is no server of ours."""

import socket
import threading
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
