"""deploy/compose.yaml as it is written, and the program that reads it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from meter.runtime.settings import Settings
from tests.architecture.sources import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]

CONSUMERS = {"meter", "projections", "notifier"}
PAGES = {"console"}
JOBS = {"setup", "support"}
OURS = sorted(JOBS | CONSUMERS | PAGES)
LASTING = sorted(SERVICES.keys() - JOBS)
PORT = Settings.model_fields["http_port"].default
# The reader of Compose 2.23 says of the file: `env_file.0 must be a string`.
OLDEST = [2, 24]


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def find_compose() -> list[str] | None:
    """Docker Compose from the environment of the tests, else Docker's plug-in; the file needs no engine to be read."""
    for command in ([str(Path(sys.executable).parent / "docker-compose")], ["docker", "compose"]):
        if shutil.which(command[0]) is not None:
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            numbers = re.findall(r"\d+", done.stdout)
            if done.returncode == 0 and [int(number) for number in numbers[:2]] >= OLDEST:
                return command
    return None
