"""The services as processes of their own, the way they run in production: for the demo, `make dev` and the tests."""

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

from deploy.local.child import Child
from deploy.local.ports import free_port

ROLES = {
    "meter": "credit_meter",
    "projections": "credit_projections",
    "notifier": "credit_notifier",
    "console": "credit_console",
}
# What starts a service, where it is not `NAME run`.
COMMANDS = {"console": ("projections", "console")}
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 40
COMMAND_TIMEOUT_S = 3600
POLL_S = 0.02


class ServiceFailedError(Exception):
    """A service or command did not do what was needed; the message ends with its log."""


class ServiceProcess:
    """A service with its log in a file. It ends with us, however we end."""

    def __init__(self, name: str, settings: Mapping[str, str], logs: Path) -> None:
        self.name, self.log = name, logs / f"{name}.log"
        self.port = free_port()
        own = {"http_host": "127.0.0.1", "http_port": str(self.port)}
        env = environment(dict(settings) | own)
        started = command(*COMMANDS.get(name, (name, "run")))
        self._child = Child(name, started, logs, env=env, grace_s=STOP_TIMEOUT_S, keeps=True)

    def start(self) -> None:
        self._child.spawn()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.exit_code

    @property
    def running(self) -> bool:
        return self._child.running

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailedError(f"{self.name} was not ready after {timeout_s:.0f} s:\n{tail(self.log)}")
            time.sleep(POLL_S)

    def is_ready(self) -> bool:
        return self.get("/readyz") == 200

    def get(self, path: str) -> int | None:
        """The status of its health server, None when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None

    def check(self) -> None:
        if not self.running:
            raise ServiceFailedError(f"{self.name} ended with code {self.exit_code}:\n{tail(self.log)}")

    def send(self, signum: signal.Signals) -> None:
        if self.running:
            self._child.send(signum)

    def stop(self) -> None:
        """SIGTERM, and the hard way after STOP_TIMEOUT_S."""
        self._child.stop()

    def kill(self) -> None:
        self._child.kill()


@contextmanager
def run_services(
    names: Sequence[str], settings: Mapping[str, Mapping[str, str]], logs: Path
) -> Iterator[dict[str, ServiceProcess]]:
    """Start together, wait until all are ready; stop in the opposite order. `settings` by service name."""
    logs.mkdir(parents=True, exist_ok=True)
    running = {name: ServiceProcess(name, settings[name], logs) for name in names}
    with ExitStack() as stack:
        for service in running.values():
            service.start()
            stack.callback(service.stop)
        for service in running.values():
            service.wait_ready()
        yield running


def run_command(arguments: Sequence[str], settings: Mapping[str, str]) -> str:
    """Run a command line to its end; what it printed."""
    done = subprocess.run(
        command(*arguments), env=environment(settings), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    if done.returncode != 0:
        raise ServiceFailedError(
            f"{' '.join(arguments)} ended with code {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def command(package: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / package), *arguments]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings as the services read them; those of the shell around us are kept out.

    Modules are compiled once, as they are in the image, and not at every start.
    """
    kept_out = ("METERING_", "PG", "PYTHONDONTWRITEBYTECODE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(kept_out)}
    return clean | {f"METERING_{name.upper()}": value for name, value in settings.items()}


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
