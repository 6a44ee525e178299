"""`pip install credit-meter-client` in a fresh environment: what comes along, and that an event arrives."""

import asyncio
import json
import subprocess
import venv
from pathlib import Path

import pytest

from deploy.client.build import build_wheel, write_tree
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.settings import Settings
from schemas.build import decode_event
from schemas.topics import USAGE

ROOT = Path(__file__).parents[2]
PACKAGES = 10  # in all, as the READMEs say
INSTALL_TIMEOUT_S = 600

# An application with modules of the names that ours have inside.
APPLICATION = """
import schemas, meter
from credit_meter_client import SyncUsageProducer

assert (schemas.MINE, meter.MINE) == ("application", "application")
with SyncUsageProducer(source="//tests.example.com/wheel") as usage:
    print(usage.tool_run("acct-1", tool="web-search"))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the client, pinned by its lock, and nothing else."""
    directory = tmp_path_factory.mktemp("client")
    write_tree(directory / "tree")
    wheel = build_wheel(directory / "tree", directory / "dist")
    venv.create(directory / "env", with_pip=True)
    python = directory / "env" / "bin" / "python"
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
    ]
    pinned = [*install, "--require-hashes", "-r", ROOT / "deploy/client/requirements.lock"]
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if "NewConnectionError" in done.stderr:  # a pin that the index has no more is a fault of our lock
        pytest.skip(f"no package index answers here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    subprocess.run([*install, "--no-deps", wheel], check=True, timeout=INSTALL_TIMEOUT_S)
    return python


def test_it_is_ten_packages_in_all(python: Path) -> None:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
    ).stdout
    names = {entry["name"] for entry in json.loads(listed)} - {"pip", "setuptools"}
    assert "credit-meter-client" in names
    assert len(names) == PACKAGES, sorted(names)
    assert names.isdisjoint({"asyncpg", "typer", "rich", "structlog", "jinja2", "aiosmtplib"})


def test_what_it_needs_is_there(python: Path) -> None:
    checked = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


async def test_it_sends_beside_modules_of_the_same_names(
    python: Path, installed: None, settings: Settings, env: dict[str, str], tmp_path: Path
) -> None:
    for name in ("schemas", "meter"):
        (tmp_path / f"{name}.py").write_text('MINE = "application"\n')
    (tmp_path / "application.py").write_text(APPLICATION)
    process = await asyncio.create_subprocess_exec(
        python, "application.py", cwd=tmp_path, env=env | {"PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    assert await arrived(settings) == [output.decode().strip()]


async def arrived(settings: Settings) -> list[str]:
    """The ids of the events on metering.usage."""
    values = [record.value or b"" async for records in read_topic(settings, USAGE) for record in records]
    return [decode_event(value).envelope.id for value in values]
