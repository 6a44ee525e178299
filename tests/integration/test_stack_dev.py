"""`make dev`: a whole system to try things on, that drains and leaves nothing behind."""

import http.client
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.ports import free_port
from tests.support import until_sync
from tests.support.dev import ROOT, START_TIMEOUT_S, Dev, running_dev
from tests.support.processes import ask

pytestmark = pytest.mark.xdist_group("dev_test")  # one stack of a name at a time


def sourced(dev: Dev) -> str:
    """The line that it tells people to paste."""
    return next(line.strip() for line in dev.text.splitlines() if line.strip().startswith(". "))


def in_shell(dev: Dev, command: str) -> subprocess.CompletedProcess[str]:
    pasted = f"{sourced(dev)}\n{command}"
    path = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["sh", "-c", pasted], cwd=ROOT, env=path, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    with running_dev("test", tmp_path) as made:
        yield made


def test_it_takes_commands_with_the_settings_it_writes_and_drains_at_ctrl_c(dev: Dev) -> None:
    opened = in_shell(dev, "meter open acct-dev --contact owner@example.com")
    assert opened.returncode == 0, opened.stderr
    assert "owner@example.com" in in_shell(dev, "meter accounts show acct-dev").stdout
    first = [
        line.strip() for line in dev.text.splitlines() if line.strip().startswith(("meter open acct-1", "python -c"))
    ]
    for line in first:
        done = in_shell(dev, line)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (line, done.stderr)
    assert len(first) == 2
    used = 'projections show acct-1 --json | grep -q \'"resource": "tool_runs".*"used": "1"\''
    until_sync(lambda: in_shell(dev, used).returncode == 0, START_TIMEOUT_S, "the first event counts")
    assert "10000" in in_shell(dev, "projections show acct-dev").stdout.replace(",", "").replace(" ", "")
    file = ROOT / sourced(dev).removeprefix(". ")
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
    opened = in_shell(dev, "meter open acct-left --contact owner@example.com")
    assert opened.returncode == 0, opened.stderr
    again = dev.text.rpartition("Start it again in another shell: ")[2].splitlines()[0]
    assert again == f"{sourced(dev).replace('env.sh', 'as-notifier.sh')} && notifier run"
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "METERING_HTTP_PORT": str(port)}
    own = subprocess.Popen(["sh", "-c", again.replace("&& ", "&& exec ")], cwd=ROOT, env=environment)
    try:
        until_sync(
            lambda: ask(port, "/readyz")[0] == http.client.OK,
            START_TIMEOUT_S,
            "the one that was started again is ready",
        )
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


def running(dev: Dev) -> list[psutil.Process]:
    return [child for child in psutil.Process(dev.process.pid).children() if "run" in child.cmdline()]
