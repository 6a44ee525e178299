"""Standard streams of every kind: an encoding that lacks characters, a closed stream, a full disk."""

import os
import subprocess
import sys

import pytest

from meter.runtime.process.exits import Exit
from tests.support.processes import clean_environment, program

COMMANDS = ("meter", "projections", "notifier")
NOWHERE = {"METERING_POSTGRES_DSN": "postgresql://127.0.0.1:1/none"}
SHOW = "import sys; from meter.runtime.process.streams import open_streams; open_streams(); print('⚠ Łukasz \\udcff')"
PRINT_MUCH = """
from meter.runtime.process import entry
import typer, sys, types
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
def verb() -> None:
    from meter.runtime.process.cli import run_command
    from meter.runtime.settings import Settings
    async def command(settings):
        print("line", flush=True)
    run_command(Settings, command)
sys.modules["much"] = types.SimpleNamespace(app=app)
sys.exit(entry.start("much"))
"""


def shell(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | NOWHERE
    return subprocess.run(["sh", "-c", line, *arguments], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_the_encoding_lacks_is_escaped_in_a_pipe(encoding: str) -> None:
    environment = clean_environment() | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, timeout=60)
    shown = "⚠ Łukasz \udcff\n".encode(encoding, "backslashreplace")
    assert (done.returncode, done.stdout) == (0, shown), done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_the_encoding_lacks_is_a_question_mark_on_a_terminal(encoding: str) -> None:
    environment = clean_environment() | {"PYTHONIOENCODING": encoding}
    master, slave = os.openpty()
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, stdout=slave, stderr=slave, timeout=60)
    os.close(slave)
    assert (done.returncode, os.read(master, 4096)) == (0, b"? ?ukasz ?\r\n")
    os.close(master)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_stdout_is_one_sentence(name: str) -> None:
    done = shell('"$0" settings >&-', program(name))
    assert done.returncode == Exit.USAGE
    assert done.stderr.startswith("stdout is closed") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("verb", ["settings", "--help", "--version"])
def test_a_full_disk_behind_stdout_is_one_sentence(name: str, verb: str) -> None:
    done = shell('"$0" "$1" >/dev/full', program(name), verb)
    assert done.returncode == Exit.FAILED
    assert done.stderr.startswith("stdout cannot be written: No space left") and done.stderr.count("\n") == 1


def test_a_full_disk_is_blamed_on_no_dependency() -> None:
    done = shell('"$0" -c "$1" >/dev/full', sys.executable, PRINT_MUCH)
    assert done.returncode == Exit.FAILED
    assert done.stderr.startswith("stdout cannot be written: No space left") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ['"$0" accounts unopened 2>&-', '"$0" accounts unopened <&-'])
def test_a_verb_works_without_the_streams_that_it_can_do_without(line: str) -> None:
    done = shell(line, program("meter"))
    assert (done.returncode, done.stdout) == (Exit.UNREACHABLE, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_leaves_early_is_told_nothing(name: str) -> None:
    done = shell('{ "$0" settings; echo "$?" >&2; } | true', program(name))
    assert done.stderr in ("1\n", "0\n")
