"""`make dev`: a whole system to try things on, that drains and leaves nothing behind."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy.local.ports import free_port
from tests.support import until_sync

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 300
pytestmark = pytest.mark.xdist_group("dev_test")  # one stack of a name at a time


@dataclass
class Dev:
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def sourced(self) -> str:
        """The line that it tells people to paste."""
        return next(line.strip() for line in self.text.splitlines() if line.strip().startswith(". "))

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        pasted = f"{self.sourced}\n{command}"
        path = {"PATH": "/usr/bin:/bin"}
        return subprocess.run(
            ["sh", "-c", pasted], cwd=ROOT, env=path, capture_output=True, text=True, check=False, timeout=60
        )

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.text
        return "Ctrl-C" in self.text


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    output = tmp_path / "output"
    with output.open("wb") as out:
        command = [sys.executable, "-m", "deploy.local.dev", "--name", "test"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    made = Dev(process, output)
    try:
        until_sync(made.is_up, START_TIMEOUT_S, "everything is up")
        yield made
    finally:
        process.kill()
        process.wait()


def test_it_takes_commands_with_the_settings_it_writes_and_drains_at_ctrl_c(dev: Dev) -> None:
    opened = dev.shell("meter open acct-dev --contact owner@example.com")
    assert opened.returncode == 0, opened.stderr
    assert "owner@example.com" in dev.shell("meter accounts show acct-dev").stdout
    first = [
        line.strip() for line in dev.text.splitlines() if line.strip().startswith(("meter open acct-1", "python -c"))
    ]
    for line in first:
        done = dev.shell(line)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (line, done.stderr)
    assert len(first) == 2
    used = 'projections show acct-1 --json | grep -q \'"resource": "tool_runs".*"used": "1"\''
    until_sync(lambda: dev.shell(used).returncode == 0, START_TIMEOUT_S, "the first event counts")
    assert "10000" in dev.shell("projections show acct-dev").stdout.replace(",", "").replace(" ", "")
    file = ROOT / dev.sourced.removeprefix(". ")
    assert file.exists()
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(60) == 0, dev.text
    assert dev.text.rstrip().endswith("The services drain.")
    assert not file.exists(), "it leads nowhere any more"


def test_a_service_that_ends_is_named_and_leaves_the_others_running(dev: Dev) -> None:
    services = {child.cmdline()[-2].rpartition("/")[2]: child for child in running(dev)}
    assert set(services) == {"meter", "projections", "notifier"}
    services["notifier"].kill()
    until_sync(lambda: "notifier was killed by SIGKILL; the others go on." in dev.text, START_TIMEOUT_S, "it is named")
    opened = dev.shell("meter open acct-left --contact owner@example.com")
    assert opened.returncode == 0, opened.stderr
    again = dev.text.rpartition("Start it again in another shell: ")[2].splitlines()[0]
    assert again == f"{dev.sourced.replace('env.sh', 'as-notifier.sh')} && notifier run"
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "METERING_HTTP_PORT": str(port)}
    own = subprocess.Popen(["sh", "-c", again.replace("&& ", "&& exec ")], cwd=ROOT, env=environment)
    try:
        until_sync(lambda: is_ready(port), START_TIMEOUT_S, "the one that was started again is ready")
    finally:
        own.kill()
        own.wait()
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(60) == 1, dev.text


def test_it_ends_where_no_service_is_left(dev: Dev) -> None:
    for child in psutil.Process(dev.process.pid).children():
        if child.cmdline()[-1:] in (["run"], ["console"]):
            child.kill()
    assert dev.process.wait(60) == 1
    assert "no service is left" in dev.text


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def running(dev: Dev) -> list[psutil.Process]:
    return [child for child in psutil.Process(dev.process.pid).children() if "run" in child.cmdline()]
