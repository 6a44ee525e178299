"""The services and commands as real processes: started, killed and paused by pid, their logs read afterwards."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.child import Child
from deploy.local.ports import free_port

HOST = "127.0.0.1"
READY_TIMEOUT_S = 90
END_TIMEOUT_S = 60
COMMAND_TIMEOUT_S = 180  # with many connections over TLS a command takes a minute on a busy machine
REQUEST_TIMEOUT_S = 30


class ServiceProcess:
    """`meter run`, `projections run`, `notifier run`, or another verb that serves."""

    def __init__(self, name: str, env: Mapping[str, str], directory: Path, verb: str = "run") -> None:
        self.name = name
        self.port = free_port(HOST)
        directory.mkdir(parents=True, exist_ok=True)
        environment = (
            clean_environment() | dict(env) | {"METERING_HTTP_HOST": HOST, "METERING_HTTP_PORT": str(self.port)}
        )
        self._directory, self._verb, self._environment = directory, verb, environment
        self.child = Child(name, [program(name), verb], directory, env=environment, grace_s=END_TIMEOUT_S)

    def take_from(self, sources: Path) -> None:
        """Run the packages of another folder, before it is started."""
        run = (
            f"import {self.name}.cli as cli; assert cli.__file__.startswith({str(sources)!r}), cli.__file__; cli.app()"
        )
        command = [sys.executable, "-P", "-c", run, self._verb]
        environment = self._environment | {"PYTHONPATH": str(sources)}
        self.child = Child(self.name, command, self._directory, env=environment, grace_s=END_TIMEOUT_S)

    def start(self, timeout_s: float = READY_TIMEOUT_S) -> "ServiceProcess":
        """Start and wait until /readyz says yes."""
        self.child.start(lambda: self.get("/readyz")[0] == http.client.OK, timeout_s)
        return self

    def spawn(self) -> "ServiceProcess":
        """Start without waiting, for a service that is expected to fail."""
        self.child.spawn()
        return self

    def terminate(self) -> None:
        """SIGTERM: it drains."""
        self.child.send(signal.SIGTERM)

    def kill(self) -> None:
        self.child.kill()

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def wait(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Its exit code; negative: the signal that ended it."""
        return self.child.wait(timeout_s)

    @property
    def running(self) -> bool:
        return self.child.running

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a request to its health server; (0, reason) when nothing answers."""
        return ask(self.port, path)

    def output(self) -> str:
        return self.child.log.read_text(errors="replace") if self.child.log.exists() else ""

    def logged(self, event: str | None = None) -> list[dict[str, Any]]:
        """Its log lines, of one event or all; what is no JSON is left out (see `output`)."""
        lines = (line for line in self.output().splitlines() if line.startswith("{"))
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if event is None or entry.get("event") == event]


class Processes:
    """Makes service processes with a test's settings, and ends those that are left."""

    def __init__(self, env: Mapping[str, str], directory: Path) -> None:
        self._env = dict(env)
        self._directory = directory
        self._made: list[ServiceProcess] = []

    def make(self, name: str, verb: str = "run", **overrides: str) -> ServiceProcess:
        """A process not yet started. Overrides are settings without the prefix: make("meter", batch_events="10")."""
        own = {f"METERING_{key.upper()}": value for key, value in overrides.items()}
        made = ServiceProcess(name, self._env | own, self._directory / f"{name}-{len(self._made)}", verb)
        self._made.append(made)
        return made

    def start(self, name: str, verb: str = "run", **overrides: str) -> ServiceProcess:
        return self.make(name, verb, **overrides).start()

    def spawn(self, name: str, **overrides: str) -> ServiceProcess:
        return self.make(name, **overrides).spawn()

    def spawn_from(self, sources: Path, name: str, **overrides: str) -> ServiceProcess:
        """As `spawn`, of the packages in another folder."""
        made = self.make(name, **overrides)
        made.take_from(sources)
        return made.spawn()

    def run(self, name: str, *arguments: str, **overrides: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end: run("meter", "grant", "acct-1", …)."""
        own = {f"METERING_{key.upper()}": value for key, value in overrides.items()}
        return run_command(name, *arguments, env=self._env | own)

    def close(self) -> None:
        for process in self._made:
            process.kill()


def run_command(name: str, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name), *arguments],
        env=clean_environment() | dict(env),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and body of what a health server of this machine answers; (0, reason) when nothing does."""
    connection = http.client.HTTPConnection(HOST, port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def program(name: str) -> str:
    """The console command, from the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


def clean_environment() -> dict[str, str]:
    """Our environment without settings: those of a developer's shell are not the test's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("METERING_")}
