"""What a command loads before it works. Whoever asks for help, or for a list, does not wait for a service's parts."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import clean_environment
from tests.support.verbs import APPS, GROUPS_AND_VERBS

LOOK = """
import importlib, json, sys
command, *arguments = sys.argv[1:]
sys.argv = [command, *arguments]
try:
    importlib.import_module(f"{command}.cli").app()
except SystemExit:
    pass
print(json.dumps(sorted({part for name in sys.modules for part in (name, name.partition(".")[0])})), file=sys.stderr)
"""
# The help of each group and verb in turn, in one process: what of the banned each was the first to load.
LOOK_AT_HELP = """
import importlib, json, sys
command, paths, banned = sys.argv[1], *map(json.loads, sys.argv[2:])
found, known = {}, set()
for path in paths:
    sys.argv = [command, *path, "--help"]
    try:
        importlib.import_module(f"{command}.cli").app()
    except SystemExit as end:
        assert not end.code, path
    loaded = {name.partition(".")[0] for name in sys.modules}
    if new := sorted(loaded & set(banned) - known):
        found[" ".join([command, *path])] = new
        known.update(new)
print(json.dumps([found, "typer" in loaded]), file=sys.stderr)
"""
# What only a service, or a verb that sends, uses.
KAFKA = {"aiokafka", "cramjam", "structlog", "prometheus_client"}
READING = {"asyncpg", "uvloop"}
# Its services read with these, or log; one event is sent without.
SERVING = {"structlog", "prometheus_client", "rich", "attr", "jinja2"}
READS_KAFKA = {"meter.runtime.kafka.consumer", "meter.runtime.kafka.assignment", "meter.runtime.kafka.poller"}
MODELS = {"schemas.inputs", "schemas.outputs", "schemas.events"}
# What reads settings and runs a verb; who asks for help has neither.
WORKING = {"pydantic", "asyncio", "logging", "zoneinfo"}
# Each of which would load the packages of the others.
SETTINGS = {"meter.settings", "projections.settings", "projections.console.settings", "notifier.settings"}
NOWHERE = "postgresql://127.0.0.1:1/none"
# Of other services, as they stand in an environment that all share.
FOREIGN = {"METERING_SMTP_HOST": "mail.example.com", "METERING_CONSOLE_PORT": "8090", "METERING_MAX_AHEAD_S": "60"}


def look(script: str, *arguments: str) -> Any:
    """What the script says in the last line of stderr, in the environment of a process that has all settings."""
    addresses = {"METERING_POSTGRES_DSN": NOWHERE, "METERING_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    environment = clean_environment() | FOREIGN | addresses
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def loaded(*command: str) -> set[str]:
    return set(look(LOOK, *command))


def loaded_by_help(name: str, banned: Iterable[str]) -> dict[str, list[str]]:
    """By group or verb, what of the banned its help was the first to load."""
    paths = [path[1:] for path in GROUPS_AND_VERBS if path[0] == name]
    found, has_typer = look(LOOK_AT_HELP, name, json.dumps(paths), json.dumps(sorted(banned)))
    assert has_typer
    return dict(found)


@pytest.mark.parametrize("name", APPS)
def test_help_loads_nothing_that_works(name: str) -> None:
    assert loaded_by_help(name, KAFKA | READING | WORKING | {"rich", "jinja2", "idna", "aiosmtplib"}) == {}


def test_what_a_help_loads_is_found_with_its_verb() -> None:
    """The test of the test above: the first help of all loads what all have."""
    assert loaded_by_help("notifier", {"typer", "asyncpg"}) == {"notifier": ["typer"]}


@pytest.mark.parametrize(
    "command",
    [
        "projections show acct-1",
        "notifier emails list",
        "notifier notices acct-1",
        "meter accounts find example",
        "meter accounts unopened",
        "meter rejections list",
        "meter waiting",
        "meter rerouted",
        "meter accounts show acct-1",
        "meter usage acct-1",
    ],
)
def test_a_list_loads_the_database_alone(command: str) -> None:
    found = loaded(*command.split())
    assert "asyncpg" in found
    assert not found & (KAFKA | MODELS | {"jinja2", "idna", "aiosmtplib"})


@pytest.mark.parametrize(
    "command",
    [
        "meter open acct-1",
        "meter grant acct-1 model_credits 1 --reason top_up --reference T-1",
        "meter revoke acct-1 model_credits 1 --reason top_up --reference T-1",
        "meter accounts plan acct-1 team",
    ],
)
def test_a_verb_that_sends_loads_no_more_of_kafka_than_it_sends_with(command: str) -> None:
    found = loaded(*command.split())
    assert {"aiokafka", "asyncpg"} <= found
    assert not found & (SERVING | READS_KAFKA | SETTINGS | {"aiosmtplib", "cryptography"})
    assert not found & {"meter.plan", "schemas.outputs", "schemas.output_types"}  # it neither ingests nor reads events


@pytest.mark.parametrize("command", ["meter verify", "projections verify", "projections rebuild --dry-run"])
def test_what_reads_the_whole_log_loads_no_bar_where_there_is_no_terminal(command: str) -> None:
    found = loaded(*command.split())
    assert "asyncpg" in found
    assert not found & (SERVING | KAFKA | {"aiosmtplib"})


def test_a_verify_of_the_log_loads_no_models_of_events() -> None:
    """Nor what reads anchors, before there is a log to compare with them."""
    assert not loaded("meter", "verify") & (MODELS | {"orjson", "meter.store.anchored"})


def test_a_preview_of_letters_loads_no_events_and_no_servers(tmp_path: Path) -> None:
    found = loaded("notifier", "preview", str(tmp_path))
    assert "jinja2" in found and (tmp_path / "index.html").is_file()
    assert not found & (KAFKA | MODELS | {"asyncpg", "notifier.plan", "rich", "aiosmtplib"})


@pytest.mark.parametrize("command", ["meter accounts show acct-1", "projections show acct-1", "notifier emails list"])
def test_a_verb_loads_no_settings_of_the_other_packages(command: str) -> None:
    of_others = {name for name in SETTINGS if not name.startswith(command.split()[0])}
    assert not loaded(*command.split()) & of_others
