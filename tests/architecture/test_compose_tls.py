"""deploy/compose.tls.yaml over compose.yaml: every connection is encrypted, and checked by the authority of both."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meter.runtime.dsn import parameter
from meter.runtime.environment import ENV_PREFIX, FILE_SUFFIX
from meter.runtime.settings import Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.settings import ProjectionsSettings
from tests.architecture.compose import DEPLOY, find_compose

KINDS: dict[str, type[Settings]] = {
    "setup": SetupSettings,
    "meter": MeterSettings,
    "projections": ProjectionsSettings,
    "notifier": NotifierSettings,
    "console": Settings,
    "support": Settings,
}
SERVERS = ("kafka", "postgres", "mail")
IN_CLEAR = ("CONTROLLER", "CHECK")  # of Kafka: within the container


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if (command := find_compose()) is None:
        pytest.skip("Docker Compose 2.24 or newer is not here")
    copy = tmp_path_factory.mktemp("compose") / "deploy"
    shutil.copytree(
        DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", ".env", "local", "certificates", "__pycache__")
    )
    files = ["-f", str(copy / "compose.yaml"), "-f", str(copy / "compose.tls.yaml")]
    people = ["--profile", "people"]
    done = subprocess.run(
        [*command, *files, *people, "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_each_connection_is_checked(name: str, rendered: dict[str, Any]) -> None:
    kind, service = KINDS[name], rendered["services"][name]
    values = {
        variable.removeprefix(ENV_PREFIX).lower(): value
        for variable, value in service["environment"].items()
        if variable.startswith(ENV_PREFIX) and not variable.endswith(FILE_SUFFIX) and value
    }
    settings = kind.model_validate({field: value for field, value in values.items() if field in kind.model_fields})
    assert settings.kafka_security_protocol == "SSL"
    assert parameter(settings.postgres_dsn, "sslmode") == "verify-full"
    assert settings.without_tls() == {}
    authorities = {settings.kafka_ssl_cafile, parameter(settings.postgres_dsn, "sslrootcert")}
    if isinstance(settings, NotifierSettings):
        assert settings.smtp_demands == "starttls"
        authorities.add(settings.smtp_cafile)
    assert authorities == {"/run/secrets/ca"}
    assert "ca" in {secret["source"] for secret in service["secrets"]}


def test_kafka_listens_in_clear_within_its_container_alone(rendered: dict[str, Any]) -> None:
    environment = rendered["services"]["kafka"]["environment"]
    kinds = dict(pair.split(":") for pair in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert {name for name, kind in kinds.items() if kind != "SSL"} == set(IN_CLEAR)
    listeners = dict(text.split("://") for text in environment["KAFKA_LISTENERS"].split(","))
    assert listeners.keys() == kinds.keys()
    assert listeners["CHECK"].startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVERS)
def test_what_a_server_names_under_run_secrets_is_given(name: str, rendered: dict[str, Any]) -> None:
    service = rendered["services"][name]
    text = json.dumps([service.get("environment"), service.get("entrypoint")])
    given = {secret["source"] for secret in service["secrets"]}
    named = {part.split()[0].strip('",]}') for part in text.split("/run/secrets/")[1:]}
    assert named == given


def test_the_certificates_are_made_once_and_hold(rendered: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    script = shutil.copy(DEPLOY / "make-certificates", tmp_path)
    made: list[dict[str, bytes]] = []
    for _ in range(2):
        subprocess.run([script], check=True, timeout=120)
        made.append({path.name: path.read_bytes() for path in (tmp_path / "certificates").iterdir()})
    assert made[0] == made[1], "what is there stays"
    folder = tmp_path / "certificates"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
    named = {Path(secret["file"]).name for secret in rendered["secrets"].values() if "certificates" in secret["file"]}
    assert named <= made[0].keys()
    for name in SERVERS:
        checks = ["-CAfile", str(folder / "ca.pem"), "-purpose", "sslserver", "-verify_hostname", name]
        subprocess.run(["openssl", "verify", *checks, str(folder / f"{name}.pem")], check=True, capture_output=True)
