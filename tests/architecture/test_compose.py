"""Rules that deploy/compose.yaml keeps."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from meter.roles import ROLES
from meter.runtime.settings import ENV_PREFIX, Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.settings import ProjectionsSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]

CONSUMERS = {"meter", "projections", "notifier"}
JOBS = {"setup", "support"}
OURS = sorted(JOBS | CONSUMERS)
LASTING = sorted(SERVICES.keys() - JOBS)
PORT = Settings.model_fields["http_port"].default


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def test_the_stack_is_the_servers_the_services_and_the_jobs() -> None:
    assert SERVICES.keys() == {"kafka", "postgres", "mail", *JOBS, *CONSUMERS}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_has_a_fixed_version(name: str) -> None:
    assert re.search(r":v?\d+(\.\d+)*$|@sha256:[0-9a-f]{64}$", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_everything_has_a_memory_limit(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


@pytest.mark.parametrize("name", LASTING)
def test_everything_that_lasts_has_a_health_check_and_comes_back(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    assert health["test"][0] in {"CMD", "CMD-SHELL"}
    assert seconds(health["timeout"]) < seconds(health["interval"])
    assert health["retries"] >= 1
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_logs_cannot_fill_the_disk(name: str) -> None:
    assert SERVICES[name]["logging"]["options"].keys() >= {"max-size", "max-file"}


@pytest.mark.parametrize("name", OURS)
def test_our_processes_have_no_privileges(name: str) -> None:
    service = SERVICES[name]
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_one_image_serves_all_and_is_built_once() -> None:
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert [name for name in OURS if "build" in SERVICES[name]] == ["setup"]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


@pytest.mark.parametrize("name", sorted(CONSUMERS))
def test_a_service_is_given_more_time_to_stop_than_it_takes(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > Settings.model_fields["grace_s"].default


def test_setup_waits_for_the_servers_and_the_services_for_setup() -> None:
    servers = {"kafka": "service_healthy", "postgres": "service_healthy"}
    after_setup = servers | {"setup": "service_completed_successfully"}
    assert waits("setup") == servers
    assert waits("meter") == after_setup
    assert waits("projections") == after_setup
    assert waits("notifier") == after_setup | {"mail": "service_healthy"}


def waits(name: str) -> dict[str, str]:
    return {other: wait["condition"] for other, wait in SERVICES[name]["depends_on"].items()}


@pytest.mark.parametrize("name", [*sorted(CONSUMERS), "support"])
def test_each_signs_in_with_its_own_role(name: str) -> None:
    environment = SERVICES[name]["environment"]
    variable = f"METERING_SETUP_PASSWORD_{name.upper()}"
    assert urlsplit(environment["METERING_POSTGRES_DSN"]).username == f"credit_{name}"
    assert environment["PGPASSWORD"] == SERVICES["setup"]["environment"][variable]
    assert environment["PGPASSWORD"].startswith("${" + variable + ":?")


def test_setup_gives_every_role_its_password() -> None:
    given = {name for name in SERVICES["setup"]["environment"] if name.startswith("METERING_SETUP_PASSWORD_")}
    assert given == {f"METERING_SETUP_PASSWORD_{role.upper()}" for role in ROLES}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_password_is_written_down(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    passwords = {key: value for key, value in environment.items() if "PASSWORD" in key}
    assert all(re.fullmatch(r"\$\{[A-Z_]+:[?-][^}]*\}", value) for value in passwords.values())
    assert not urlsplit(environment.get("METERING_POSTGRES_DSN", "")).password


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("setup", SetupSettings),
        ("meter", MeterSettings),
        ("projections", ProjectionsSettings),
        ("notifier", NotifierSettings),
        ("support", Settings),
    ],
)
def test_the_environment_is_what_the_service_reads(name: str, kind: type[Settings]) -> None:
    values = {
        variable.removeprefix(ENV_PREFIX).lower(): interpolate(str(value))
        for variable, value in SERVICES[name]["environment"].items()
        if variable.startswith(ENV_PREFIX)
    }
    assert values.keys() <= kind.model_fields.keys()
    settings = kind.model_validate(values)
    assert settings.kafka_bootstrap == "kafka:9092"
    assert settings.http_port == PORT


def interpolate(text: str) -> str:
    """As Compose does it, with defaults taken and every required variable set."""
    return re.sub(r"\$\{[A-Z_]+:([?-])([^}]*)\}", lambda found: found[2] if found[1] == "-" else "given", text)


def test_the_notifier_sends_to_the_mail_catcher() -> None:
    environment = SERVICES["notifier"]["environment"]
    assert environment["METERING_SMTP_HOST"] in SERVICES
    assert environment["METERING_SMTP_PORT"] == "1025"


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
