"""The recipes of schemas/README.md, as their readers paste them: each event counts, on the stack of `make dev`.

What a runtime is not there for is skipped by name.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from deploy.local import apache_kafka
from tests.support import until
from tests.support.clients import go_directory, java, node_directory
from tests.support.dev import ROOT, running_dev

pytestmark = pytest.mark.xdist_group("recipes")

NAME = "recipes"
Runner = Callable[[Path], tuple[list[str], Path]]  # makes a folder ready; says the command and where to run it
RUN_TIMEOUT_S, COUNT_TIMEOUT_S = 300, 60
TEXTS = re.findall(r"^```(?:python|js|go|java|bash)\n(.*?)^```$", (ROOT / "schemas/README.md").read_text(), re.S | re.M)
RECIPES = {re.findall(r"\bfrom-([a-z-]+)", text)[0]: text for text in TEXTS}  # by the tool that its event names


def in_python(directory: Path) -> tuple[list[str], Path]:
    (directory / "send.py").write_text(RECIPES["python"])
    return [sys.executable, "send.py"], directory


def in_js(directory: Path) -> tuple[list[str], Path]:
    packages = node_directory() / "node_modules"
    (directory / "send.js").write_text(RECIPES["js"])
    (directory / "node_modules").symlink_to(packages)
    return [shutil.which("node") or "node", "send.js"], directory


def in_go(recipe: str) -> Runner:
    def prepare(directory: Path) -> tuple[list[str], Path]:
        for name in ("go.mod", "go.sum"):
            shutil.copy(go_directory() / name, directory)
        (directory / "main.go").write_text(RECIPES[recipe])
        return [shutil.which("go") or "go", "run", "."], directory

    return prepare


def in_java(directory: Path) -> tuple[list[str], Path]:
    (directory / "Send.java").write_text(RECIPES["java"])
    return java("Send.java"), directory


def in_shell(directory: Path) -> tuple[list[str], Path]:
    """With Kafka's tool on the path, which is there as a jar only: as its own script starts it."""
    tool = directory / "kafka-console-producer.sh"
    tool.write_text(f'#!/bin/sh\nexec {shlex.join(java("org.apache.kafka.tools.ConsoleProducer"))} "$@"\n')
    tool.chmod(0o755)
    return ["sh", "-euc", f'PATH="$PWD:$PATH"\n{RECIPES["shell"]}'], directory


RUNNERS: Mapping[str, Runner] = {
    "python": in_python, "js": in_js, "go": in_go("go"), "kafka-go": in_go("kafka-go"), "sarama": in_go("sarama"),
    "java": in_java, "shell": in_shell,
}  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the file to be sourced says, of a stack on the best Kafka there is: not every client speaks to another."""
    kafka = "embedded" if apache_kafka.missing() else "apache"
    with running_dev(NAME, tmp_path_factory.mktemp("dev"), "--kafka", kafka) as dev:
        # Readers see what was used of accounts that somebody opened.
        opening = f". {dev.settings}/env.sh && meter open acct-1"
        subprocess.run(["sh", "-euc", opening], cwd=ROOT, check=True, timeout=RUN_TIMEOUT_S)
        text = (dev.settings / "as-reader.sh").read_text()
        yield {"KAFKA": kafka, **dict(re.findall(r"^export (METERING_\w+)=(.*)$", text, re.MULTILINE))}


def test_every_recipe_has_a_runner() -> None:
    assert RECIPES.keys() == RUNNERS.keys()


@pytest.mark.parametrize("recipe", RUNNERS)
async def test_the_event_of_a_recipe_counts(settings: dict[str, str], recipe: str, tmp_path: Path) -> None:
    if settings["KAFKA"] == "embedded" and recipe != "python":
        pytest.skip(f"the client of {recipe} does not speak to the embedded broker")
    command, directory = RUNNERS[recipe](tmp_path)
    environment = {**os.environ, "METERING_KAFKA_BOOTSTRAP": settings["METERING_KAFKA_BOOTSTRAP"]}
    done = subprocess.run(  # noqa: ASYNC221  # nothing else runs meanwhile
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    reader = await asyncpg.connect(settings["METERING_POSTGRES_DSN"])
    try:
        counted = "SELECT sum(amount) FROM projections.usage_by_day WHERE account_id = 'acct-1' AND name = $1"
        await until(lambda: reader.fetchval(counted, f"from-{recipe}"), COUNT_TIMEOUT_S, "it counts")
        assert await reader.fetchval(counted, f"from-{recipe}") == 1
    finally:
        await reader.close()
