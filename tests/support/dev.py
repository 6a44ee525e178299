"""The stack of `make dev`, as a process that Ctrl-C ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import until_sync

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S, DRAIN_TIMEOUT_S = 300, 60


@dataclass
class Dev:
    name: str
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        """What it said so far."""
        return self.output.read_text()

    @property
    def settings(self) -> Path:
        """The folder with the files that are to be sourced, one for each role."""
        return ROOT / f".local/dev-{self.name}"

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.text
        return "Ctrl-C" in self.text


def command_of(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "deploy.local.dev", "--name", name, *options]


@contextmanager
def running_dev(name: str, directory: Path, *options: str) -> Iterator[Dev]:
    """Everything is up when the block begins, and drains at its end."""
    output = directory / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            command_of(name, *options), cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    dev = Dev(name, process, output)
    try:
        until_sync(dev.is_up, START_TIMEOUT_S, "everything is up")
        yield dev
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(DRAIN_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
