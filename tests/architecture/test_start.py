"""What a command loads before it works. Whoever asks for help, or for a list, does not wait for a service's parts."""

import json
import subprocess
import sys

import pytest

from tests.support.processes import clean_environment

LOOK = """
import importlib, json, sys
command, *arguments = sys.argv[1:]
sys.argv = [command, *arguments]
try:
    importlib.import_module(f"{command}.cli").app()
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
# What only a service, or a verb that sends, uses.
KAFKA = {"aiokafka", "cramjam", "structlog", "prometheus_client"}
READING = {"asyncpg", "uvloop"}
# What reads settings and runs a verb; who asks for help has neither.
WORKING = {"pydantic", "asyncio", "logging", "zoneinfo"}
NOWHERE = "postgresql://127.0.0.1:1/none"


def loaded(*command: str) -> set[str]:
    environment = clean_environment() | {"METERING_POSTGRES_DSN": NOWHERE}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *command], env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "command",
    [
        "meter --help",
        "meter grant --help",
        "meter accounts --help",
        "meter accounts rename --help",
        "meter rejections list --help",
        "projections --help",
        "projections show --help",
        "notifier emails list --help",
    ],
)
def test_help_loads_nothing_that_works(command: str) -> None:
    found = loaded(*command.split())
    assert "typer" in found
    assert not found & (KAFKA | READING | WORKING | {"rich", "jinja2", "idna", "aiosmtplib"})


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
    ],
)
def test_a_list_loads_the_database_alone(command: str) -> None:
    found = loaded(*command.split())
    assert "asyncpg" in found
    assert not found & (KAFKA | {"jinja2", "idna", "aiosmtplib"})
