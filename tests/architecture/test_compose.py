"""Rules that deploy/compose.yaml keeps."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from meter.roles import ROLES
from tests.architecture.compose import COMPOSE, CONSUMERS, DEPLOY, OURS, PAGES, PORT, SERVICES


def test_the_stack_is_the_servers_the_services_and_the_jobs() -> None:
    assert SERVICES.keys() == {"kafka", "postgres", "mail", "prometheus", "grafana", *OURS}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_has_a_fixed_version(name: str) -> None:
    assert re.search(r":v?\d+(\.\d+)*$|@sha256:[0-9a-f]{64}$", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_everything_has_a_memory_limit(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


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
    named = {key: value for key, value in environment.items() if "PASSWORD" in key or "SECRET" in key}
    passwords = {key: value for key, value in named.items() if value != ""}  # empty: not set, whatever deploy/.env says
    assert all(key.endswith("_FILE") and value.startswith("/run/secrets/") for key, value in passwords.items())
    assert not urlsplit(environment.get("METERING_POSTGRES_DSN", "")).password


def test_prometheus_asks_the_services_that_the_alerts_know() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    asked = {job["job_name"]: job["dns_sd_configs"][0] for job in scraped}
    assert asked.keys() == CONSUMERS | PAGES
    assert all(where["names"] == [name] and where["port"] == PORT for name, where in asked.items())


def test_every_file_that_is_mounted_is_there() -> None:
    assert [name for name, config in COMPOSE["configs"].items() if not (DEPLOY / config["file"]).is_file()] == []
