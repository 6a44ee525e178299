"""The services under measurement, as processes of their own, the way they run in production."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.local.ports import free_port

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 40
COMMAND_TIMEOUT_S = 3600
POLL_S = 0.02


class ServiceFailedError(Exception):
    """A service or command did not do what the benchmark needs; the message ends with its log."""


class ServiceProcess:
    def __init__(self, name: str, settings: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._port = free_port()
        own = {"METERING_HTTP_HOST": "127.0.0.1", "METERING_HTTP_PORT": str(self._port)}
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command(name, "run"), env=environment(settings) | own, stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailedError(f"{self.name} was not ready after {START_TIMEOUT_S} s:\n{tail(self.log)}")
            time.sleep(POLL_S)

    def check(self) -> None:
        if self._process.poll() is not None:
            raise ServiceFailedError(f"{self.name} ended with code {self._process.returncode}:\n{tail(self.log)}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def run_services(names: Sequence[str], settings: Mapping[str, str], logs: Path) -> Iterator[dict[str, ServiceProcess]]:
    """Start in order, each ready before the next; stop in the opposite order."""
    running: dict[str, ServiceProcess] = {}
    with ExitStack() as stack:
        for name in names:
            service = ServiceProcess(name, settings, logs / f"{name}.log")
            stack.callback(service.stop)
            service.wait_ready()
            running[name] = service
        yield running


def run_command(arguments: tuple[str, ...], settings: Mapping[str, str]) -> float:
    """Run a command line to its end; the seconds it took."""
    started = time.perf_counter()
    done = subprocess.run(
        command(*arguments), env=environment(settings), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    if done.returncode != 0:
        raise ServiceFailedError(
            f"{' '.join(arguments)} ended with code {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return time.perf_counter() - started


def command(package: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / package), *arguments]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The services' settings; those of the shell that runs the benchmark are kept out."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METERING_", "PG"))}
    return clean | {f"METERING_{name.upper()}": value for name, value in settings.items()}


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def settings_text(values: Mapping[str, object]) -> dict[str, str]:
    """Settings as the environment carries them: lists as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
