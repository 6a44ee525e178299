"""`make dev`: a whole system to try things on, that drains and leaves nothing behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support import until_sync
from tests.support.processes import run_command

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 90


@dataclass
class Dev:
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def env(self) -> dict[str, str]:
        """The settings it tells people to export."""
        lines = [line.removeprefix("export ") for line in self.exports if line.startswith("export METERING_")]
        return dict(line.split("=", 1) for line in lines)

    @property
    def exports(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.startswith("export ")]

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.text
        return "Ctrl-C" in self.text


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    output = tmp_path / "output"
    with output.open("wb") as out:
        command = [sys.executable, "-m", "deploy.local.dev"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    made = Dev(process, output)
    try:
        until_sync(made.is_up, START_TIMEOUT_S, "everything is up")
        yield made
    finally:
        process.kill()
        process.wait()


def test_it_takes_commands_with_the_settings_it_prints_and_drains_at_ctrl_c(dev: Dev) -> None:
    opened = run_command("meter", "open", "acct-dev", "--contact", "owner@example.com", env=dev.env)
    assert opened.returncode == 0, opened.stderr

    pasted = "\n".join([*dev.exports, "meter accounts show acct-dev"])
    shell = subprocess.run(
        ["sh", "-c", pasted], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert "owner@example.com" in shell.stdout, shell.stderr

    def shown() -> str:
        done = run_command("projections", "show", "acct-dev", env=dev.env)
        return done.stdout if done.returncode == 0 else ""

    text = until_sync(shown, 30, lambda: dev.text)
    assert "10000" in text.replace(",", "").replace(" ", "")
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(60) == 0, dev.text
    assert dev.text.rstrip().endswith("The services drain.")


def test_it_ends_with_a_failure_when_a_service_ends(dev: Dev) -> None:
    services = [child for child in psutil.Process(dev.process.pid).children() if "run" in child.cmdline()]
    assert len(services) == 3
    services[0].kill()
    assert dev.process.wait(60) == 1
    assert "ended with code -9" in dev.text
