"""Rules that deploy/compose.yaml keeps."""

import json
import re
import shutil
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
from meter.runtime.environment import FILE_SUFFIX, secret_fields, variable
from meter.runtime.settings import ENV_PREFIX, Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.console.settings import ConsoleSettings
from projections.settings import ProjectionsSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]

CONSUMERS = {"meter", "projections", "notifier"}
PAGES = {"console"}
JOBS = {"setup", "support"}
OURS = sorted(JOBS | CONSUMERS | PAGES)
LASTING = sorted(SERVICES.keys() - JOBS)
PORT = Settings.model_fields["http_port"].default


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def test_the_stack_is_the_servers_the_services_and_the_jobs() -> None:
    assert SERVICES.keys() == {"kafka", "postgres", "mail", "prometheus", "grafana", *OURS}


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


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_has_privileges(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert name == "postgres" or "cap_add" not in SERVICES[name]
    # Kafka's image writes its configuration beside its programs at each start.
    assert SERVICES[name].get("read_only", False) is (name != "kafka")


def test_no_upgrade_of_an_operating_system_changes_how_text_is_compared() -> None:
    assert (
        "--locale-provider=builtin --builtin-locale=C.UTF-8"
        in SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"]
    )


@pytest.mark.parametrize("name", OURS)
def test_our_processes_have_no_privileges(name: str) -> None:
    service = SERVICES[name]
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_one_image_serves_all_and_is_built_once() -> None:
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert [name for name in OURS if "build" in SERVICES[name]] == ["setup"]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


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


@pytest.mark.parametrize("name", [*sorted(CONSUMERS), "console", "support"])
def test_each_signs_in_with_its_own_role(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert urlsplit(environment["METERING_POSTGRES_DSN"]).username == f"credit_{name}"
    assert environment["METERING_POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres"
    assert secrets_of(name)["postgres"] == name


def secrets_of(name: str) -> dict[str, str]:
    """Where a container finds it under /run/secrets → the secret."""
    given = SERVICES[name].get("secrets", [])
    return {s: s for s in given if isinstance(s, str)} | {
        s["target"]: s["source"] for s in given if isinstance(s, dict)
    }


@pytest.mark.parametrize("name", sorted(CONSUMERS | PAGES | {"support"}))
def test_nobody_has_the_password_of_another(name: str) -> None:
    assert set(secrets_of(name).values()) <= {name, "console_key"}
    assert ("console_key" in secrets_of(name)) is (name == "console")


def test_setup_gives_every_role_its_password() -> None:
    environment = SERVICES["setup"]["environment"]
    given = {variable: path for variable, path in environment.items() if "SETUP_PASSWORD" in variable}
    assert given == {f"METERING_SETUP_PASSWORD_{role.upper()}_FILE": f"/run/secrets/{role}" for role in ROLES}
    assert secrets_of("setup") == {role: role for role in ROLES} | {"postgres": "superuser"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_lies_under_run_secrets_is_given(name: str) -> None:
    named = {
        value for value in SERVICES[name].get("environment", {}).values() if str(value).startswith("/run/secrets/")
    }
    assert named == {f"/run/secrets/{target}" for target in secrets_of(name)}


def test_make_secrets_makes_every_secret(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "make-secrets", tmp_path)
    for _ in range(2):
        subprocess.run([script], check=True, timeout=30)
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert made.keys() == COMPOSE["secrets"].keys()
        (tmp_path / "secrets/meter").write_text("mine")
    assert made["meter"] == "mine", "what is there stays"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", made[name]) for name in made.keys() - {"meter"})
    assert len(set(made.values())) == len(made)
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_password_is_written_down(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    passwords = {key: value for key, value in environment.items() if "PASSWORD" in key or "SECRET" in key}
    assert all(key.endswith("_FILE") and value.startswith("/run/secrets/") for key, value in passwords.items())
    assert not urlsplit(environment.get("METERING_POSTGRES_DSN", "")).password


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("setup", SetupSettings),
        ("meter", MeterSettings),
        ("projections", ProjectionsSettings),
        ("notifier", NotifierSettings),
        ("console", ConsoleSettings),
        ("support", Settings),
    ],
)
def test_the_environment_is_what_the_service_reads(name: str, kind: type[Settings]) -> None:
    values = {
        variable.removeprefix(ENV_PREFIX).lower(): interpolate(str(value))
        for variable, value in SERVICES[name]["environment"].items()
        if variable.startswith(ENV_PREFIX) and not variable.endswith(FILE_SUFFIX)
    }
    assert values.keys() <= kind.model_fields.keys()
    needed = {"console_secret": "x" * 43} if kind is ConsoleSettings else {}
    settings = kind.model_validate(values | needed)
    assert settings.kafka_bootstrap == "kafka:9092"
    assert settings.http_port == PORT


def interpolate(text: str) -> str:
    """As Compose does it, with defaults taken and every required variable set."""
    return re.sub(r"\$\{[A-Z_]+:([?-])([^}]*)\}", lambda found: found[2] if found[1] == "-" else "given", text)


def test_the_notifier_sends_to_the_mail_catcher() -> None:
    environment = SERVICES["notifier"]["environment"]
    assert interpolate(environment["METERING_SMTP_HOST"]) in SERVICES
    assert interpolate(environment["METERING_SMTP_PORT"]) == "1025"


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


KINDS: dict[str, type[Settings]] = {
    "meter": MeterSettings,
    "projections": ProjectionsSettings,
    "notifier": NotifierSettings,
    "console": ConsoleSettings,
    "setup": SetupSettings,
}
# What the compose file itself decides: each service's own role, and the ports that its checks and its clients rely on.
DECIDED = {"postgres_dsn", "http_host", "http_port", "console_host", "console_port"}


# The reader of Compose 2.23 says of the file: `env_file.0 must be a string`.
OLDEST = [2, 24]


def test_the_oldest_compose_is_told_for_the_reason_that_it_has() -> None:
    told = "Docker Compose {}.{} or newer".format(*OLDEST)
    assert all(told in (DEPLOY / name).read_text(encoding="utf-8") for name in ("README.md", "compose.yaml"))
    assert all(isinstance(entry, dict) and "required" in entry for entry in COMPOSE["x-image"]["env_file"])


def find_compose() -> list[str] | None:
    """Docker Compose from the environment of the tests, else Docker's plug-in; the file needs no engine to be read."""
    for command in ([str(Path(sys.executable).parent / "docker-compose")], ["docker", "compose"]):
        if shutil.which(command[0]) is not None:
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            numbers = re.findall(r"\d+", done.stdout)
            if done.returncode == 0 and [int(number) for number in numbers[:2]] >= OLDEST:
                return command
    return None


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The stack as Compose reads it, with a deploy/.env that has every setting there is."""
    command = find_compose()
    if command is None:
        pytest.skip("Docker Compose 2.24 or newer is not here")
    copy = tmp_path_factory.mktemp("compose") / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", ".env", "local", "__pycache__"))
    fields = sorted({field for kind in KINDS.values() for field in kind.model_fields})
    (copy / ".env").write_text("".join(f"{variable(field)}={mark(field)}\n" for field in fields), encoding="utf-8")
    done = subprocess.run(
        [*command, "-f", str(copy / "compose.yaml"), "config", "--format", "json"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    configured: dict[str, Any] = json.loads(done.stdout)["services"]
    return configured


def mark(field: str) -> str:
    return "20001" if field.endswith("port") else f"marked-{field}"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_setting_of_the_env_file_reaches_its_service(name: str, configured: dict[str, Any]) -> None:
    environment = configured[name]["environment"]
    wanted = KINDS[name].model_fields.keys() - DECIDED - set(secret_fields(KINDS[name]))
    dropped = [field for field in sorted(wanted) if environment.get(variable(field)) != mark(field)]
    assert dropped == []


def test_prometheus_asks_the_services_that_the_alerts_know() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    asked = {job["job_name"]: job["dns_sd_configs"][0] for job in scraped}
    assert asked.keys() == CONSUMERS | PAGES
    assert all(where["names"] == [name] and where["port"] == PORT for name, where in asked.items())


def test_every_file_that_is_mounted_is_there() -> None:
    assert [name for name, config in COMPOSE["configs"].items() if not (DEPLOY / config["file"]).is_file()] == []
