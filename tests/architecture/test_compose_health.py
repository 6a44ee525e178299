"""How deploy/compose.yaml starts and stops its containers, and tells whether they are well."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from meter.runtime.settings import Settings
from tests.architecture.compose import CONSUMERS, LASTING, PAGES, PORT, SERVICES, seconds


@pytest.mark.parametrize("name", LASTING)
def test_everything_that_lasts_has_a_health_check_and_comes_back(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    assert health["test"][0] in {"CMD", "CMD-SHELL"}
    assert seconds(health["timeout"]) < seconds(health["interval"])
    assert health["retries"] >= 1
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(CONSUMERS | PAGES))
def test_a_service_is_given_more_time_to_stop_than_it_takes(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > Settings.model_fields["grace_s"].default


def test_setup_waits_for_the_servers_and_the_services_for_setup() -> None:
    servers = {"kafka": "service_healthy", "postgres": "service_healthy"}
    after_setup = servers | {"setup": "service_completed_successfully"}
    assert waits("setup") == servers
    assert waits("meter") == after_setup
    assert waits("projections") == after_setup
    assert waits("notifier") == after_setup | {"mail": "service_healthy"}
    assert waits("console") == {name: wait for name, wait in after_setup.items() if name != "kafka"}


def waits(name: str) -> dict[str, str]:
    return {other: wait["condition"] for other, wait in SERVICES[name]["depends_on"].items()}


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on a free port that answers /readyz with this status."""
    with HTTPServer(("127.0.0.1", 0), type("Answering", (Answer,), {"status": status})) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def run_health_check(name: str, port: int) -> int:
    """Exit code of the service's own check, asked of another port."""
    kind, program, option, script = SERVICES[name]["healthcheck"]["test"]
    assert (kind, program, option) == ("CMD", "python", "-c")
    assert str(PORT) in script
    moved = script.replace(str(PORT), str(port))
    return subprocess.run([sys.executable, "-c", moved], capture_output=True, timeout=30, check=False).returncode


@pytest.mark.parametrize("name", sorted(CONSUMERS))
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_ready_from_not_ready(name: str, status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert (run_health_check(name, port) == 0) is healthy


@pytest.mark.parametrize("name", sorted(CONSUMERS))
def test_the_health_check_fails_where_nothing_listens(name: str) -> None:
    with answering(200) as port:
        pass
    assert run_health_check(name, port) != 0
