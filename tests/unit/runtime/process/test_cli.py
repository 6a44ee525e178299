"""What the three commands have in common: `-h` and `--version`."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

import meter.cli
import notifier.cli
import projections.cli

APPS = {"meter": meter.cli.app, "projections": projections.cli.app, "notifier": notifier.cli.app}


def ask(app: typer.Typer, *arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", APPS)
def test_version_is_that_of_the_distribution(name: str) -> None:
    assert ask(APPS[name], "--version") == f"{name} (credit-meter) {version('credit-meter')}\n"


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize("verb", [(), ("run",)])
def test_h_is_short_for_help(name: str, verb: tuple[str, ...]) -> None:
    assert ask(APPS[name], *verb, "-h") == ask(APPS[name], *verb, "--help")


def test_h_works_below_a_group_of_verbs() -> None:
    assert "Usage" in ask(meter.cli.app, "rejections", "-h")
    assert "Usage" in ask(meter.cli.app, "rejections", "list", "-h")


@pytest.mark.parametrize("name", APPS)
def test_help_names_version_and_the_purpose_of_the_command(name: str) -> None:
    shown = ask(APPS[name], "-h")
    assert "--version" in shown and "credit-meter" in shown.split("Options")[0]


def test_a_reader_that_has_gone_is_no_fault_of_a_dependency() -> None:
    """As behind `| head`: nothing is said, and nothing is blamed. A broken connection to Postgres is still told."""
    code = (
        "import typer\n"
        "from meter.runtime.process.cli import run_command\n"
        "from meter.runtime.settings import Settings\n"
        "async def command(settings):\n"
        "    {}\n"
        "typer.run(lambda: run_command(Settings, command))\n"
    )
    fill = "while True: print('line', flush=True)"
    ended = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -1', sys.executable, code.format(fill)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr, ended.returncode) == ("line\n", "", 1)
    lost = subprocess.run(
        [sys.executable, "-c", code.format("raise BrokenPipeError(32, 'Broken pipe')")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "not reachable" in lost.stderr and lost.returncode > 1
