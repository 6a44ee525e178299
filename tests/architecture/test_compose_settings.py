"""The settings in deploy/compose.yaml and deploy/.env are those that the services read."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from meter.runtime.environment import FILE_SUFFIX, secret_fields, variable
from meter.runtime.settings import ENV_PREFIX, Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.console.settings import ConsoleSettings
from projections.settings import ProjectionsSettings
from tests.architecture.compose import COMPOSE, DEPLOY, OLDEST, PORT, SERVICES, find_compose

KINDS: dict[str, type[Settings]] = {
    "meter": MeterSettings,
    "projections": ProjectionsSettings,
    "notifier": NotifierSettings,
    "console": ConsoleSettings,
    "setup": SetupSettings,
}
# What the compose file itself decides: each service's own role, and the ports that its checks and its clients rely on.
DECIDED = {"postgres_dsn", "http_host", "http_port", "console_host", "console_port"}


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


def test_the_oldest_compose_is_told_for_the_reason_that_it_has() -> None:
    told = "Docker Compose {}.{} or newer".format(*OLDEST)
    assert all(told in (DEPLOY / name).read_text(encoding="utf-8") for name in ("README.md", "compose.yaml"))
    assert all(isinstance(entry, dict) and "required" in entry for entry in COMPOSE["x-image"]["env_file"])


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
