"""The settings in deploy/compose.yaml and deploy/.env are those that the services read."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from meter.runtime.environment import FILE_SUFFIX, read_values, secret_fields, variable
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
# The servers that each service signs in to, by the beginnings of settings.
KAFKA, ALL = {"kafka"}, {"kafka", "smtp"}
SIGNS_IN = {
    "setup": KAFKA,
    "meter": KAFKA,
    "projections": KAFKA,
    "notifier": ALL,
    "console": set[str](),
    "support": KAFKA,
}
# Of the verbs that run in each container.
VERBS: dict[str, list[type[Settings]]] = {
    **{name: [kind] for name, kind in KINDS.items()},
    "support": [Settings, MeterSettings, ProjectionsSettings, NotifierSettings],
}
WITHOUT_LOGIN = {"console": {"kafka_sasl_username", "kafka_security_protocol"}}


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
        if variable.startswith(ENV_PREFIX) and not variable.endswith(FILE_SUFFIX) and value != ""
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
    decided = DECIDED | WITHOUT_LOGIN.get(name, set()) | set(secret_fields(KINDS[name]))
    wanted = KINDS[name].model_fields.keys() - decided
    dropped = [field for field in sorted(wanted) if environment.get(variable(field)) != mark(field)]
    assert dropped == []


def logins(kind: type[Settings]) -> dict[str, str]:
    """User names, which are refused without their passwords."""
    names = [field.removesuffix("_username") for field in kind.model_fields if field.endswith("_username")]
    return {f"{name}_username": f"{name}_password" for name in names}


def test_the_logins_that_there_are_are_known() -> None:
    found = {pair for kind in KINDS.values() for pair in logins(kind).items()}
    assert found == {("kafka_sasl_username", "kafka_sasl_password"), ("smtp_username", "smtp_password")}
    assert all(set(logins(kind).values()) <= set(secret_fields(kind)) for kind in KINDS.values())


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in sorted(VERBS) for kind in VERBS[name]])
def test_a_service_has_no_half_of_a_login_that_is_not_its_own(name: str, kind: type[Settings]) -> None:
    """Whoever signs in to a server is given the password beside the name in deploy/.env. The others have nothing of it,
    and start."""
    others = {half: secret for half, secret in logins(kind).items() if half.partition("_")[0] not in SIGNS_IN[name]}
    passwords = {variable(secret) + ending for secret in others.values() for ending in ("", FILE_SUFFIX)}
    said = dict.fromkeys({*map(variable, others), *passwords}, "given")
    if "kafka_sasl_username" in others:
        said["METERING_KAFKA_SECURITY_PROTOCOL"] = "SASL_SSL"
    there = said | {key: interpolate(str(value)) for key, value in SERVICES[name]["environment"].items()}
    assert not any(there[each] for each in passwords)
    needed = {"console_secret": "x" * 43} if kind is ConsoleSettings else {}
    settings = kind.model_validate(read_values(kind, there) | needed)
    assert all(getattr(settings, half) is None for half in others)
