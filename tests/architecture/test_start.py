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
print(json.dumps(sorted({part for name in sys.modules for part in (name, name.partition(".")[0])})), file=sys.stderr)
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
NOWHERE = "postgresql://127.0.0.1:1/none"


def loaded(*command: str) -> set[str]:
    environment = clean_environment() | {"METERING_POSTGRES_DSN": NOWHERE, "METERING_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
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
    assert not found & (SERVING | READS_KAFKA | {"aiosmtplib"})
