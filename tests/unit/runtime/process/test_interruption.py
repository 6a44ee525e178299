"""Ctrl-C: the first one ends a verb, wherever it is, with a sentence and exit code 130."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meter import sending
from meter.runtime.kafka import Landed
from meter.runtime.process.exits import Exit
from meter.runtime.process.interruption import describe_interruption, keeping_what_was_done
from meter.runtime.settings import Settings
from meter.store.outcomes import Place
from tests.support.processes import clean_environment, program

TIMEOUT_S = 20
DELIVERED = sending.Delivered(Landed(0, 7), b"", datetime(2026, 3, 1, tzinfo=UTC))
ROOT = Path(__file__).parents[4]
ASK = """
import asyncio
from meter.confirm import confirm
from meter.runtime.process.cli import run_command
from meter.runtime.settings import Settings
async def command(settings):
    await asyncio.sleep(0)
    confirm("no account has the plan Teem", "Give it nevertheless?")
run_command(Settings, command)
"""
WAIT = """
import asyncio
from meter.runtime.process.cli import run_command
from meter.runtime.settings import Settings
async def command(settings):
    try:
        print("waiting", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("closed", flush=True)
run_command(Settings, command)
"""
AFTERWARDS = """
import asyncio
from meter.runtime.process.cli import run_command
from meter.runtime.process.interruption import say_when_interrupted
from meter.runtime.settings import Settings
async def command(settings):
    try:
        say_when_interrupted(", sent as event id-1")
    finally:
        print("closing", flush=True)
        await asyncio.Event().wait()
run_command(Settings, command)
"""
AS_COMMAND = """
import typer
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
def verb() -> None:
    exec(SOURCE, {})
app()
"""


class Typist:
    """A command on a terminal of its own; what is typed comes as keys do, Ctrl-C through the terminal."""

    def __init__(self, *command: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(command[0], command, clean_environment())
        self.shown = ""

    def read_until(self, text: str) -> None:
        while text not in self.shown:
            assert self.read(), self.shown

    def read(self) -> bool:
        try:
            got = os.read(self.terminal, 4096)
        except OSError:  # Linux says so at the end
            return False
        self.shown += got.decode()
        return bool(got)

    def press_ctrl_c(self) -> None:
        """Once it waits: Python misses a signal that comes just before a read blocks, until the next one. Nobody types
        within those microseconds."""
        while "\nState:\tS" not in Path(f"/proc/{self.pid}/status").read_text():
            os.sched_yield()
        os.write(self.terminal, b"\x03")

    def end(self) -> int:
        while self.read():
            pass
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def as_command(source: str) -> tuple[str, str, str]:
    return sys.executable, "-c", f"SOURCE = {source!r}\n{AS_COMMAND}"


@pytest.fixture(autouse=True)
def _limited() -> Iterator[None]:
    """A verb that hangs fails its test."""

    def give_up(*_: object) -> None:
        raise TimeoutError("the command did not end")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(TIMEOUT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_one_ctrl_c_at_a_question_ends_the_verb() -> None:
    typist = Typist(*as_command(ASK))
    typist.read_until("[y/N]:")
    typist.press_ctrl_c()
    assert typist.end() == Exit.INTERRUPTED
    assert typist.shown.endswith("interrupted. Nothing is sent.\r\n")


def test_one_ctrl_c_ends_the_reading_of_events_from_a_terminal() -> None:
    typist = Typist(program("meter"), "check", "-")
    os.write(typist.terminal, b"{}\n")
    typist.read_until("line 1:")
    typist.press_ctrl_c()
    assert typist.end() == Exit.INTERRUPTED
    assert typist.shown.endswith("interrupted\r\n")


@pytest.mark.parametrize("name", ["meter", "projections", "notifier"])
def test_a_command_that_still_imports_ends_without_a_traceback(name: str, tmp_path: Path) -> None:
    """Its packages are imported as slowly as can be: one of them waits for the signal."""
    (tmp_path / "typer.py").write_text("print('importing', flush=True)\nimport signal\nsignal.pause()\n")
    environment = clean_environment() | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [program(name), "--help"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert (said, process.returncode) == ("interrupted\n", Exit.INTERRUPTED)


def test_a_verb_that_waits_ends_with_130_and_closes_what_it_has_open() -> None:
    typist = Typist(*as_command(WAIT))
    typist.read_until("waiting")
    typist.press_ctrl_c()
    assert typist.end() == Exit.INTERRUPTED
    assert typist.shown.endswith("closed\r\ninterrupted\r\n")


async def send_nothing(*_: object) -> str:
    return ""


class NothingJudged:
    """What is stored while the meter is stopped."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def find_place(self, account_id: str) -> Place:
        return Place(0, 1)

    async def find_stored(self, place: Place, sent: object) -> None:
        return None

    async def find_rejected(self, *_: object) -> None:
        return None

    async def find_outcome(self, landed: object) -> None:
        self.asked.set()


async def test_whoever_interrupts_the_wait_for_an_effect_is_told_that_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending.KeepingProducer, "__aenter__", enter)
    monkeypatch.setattr(sending.KeepingProducer, "__aexit__", leave)
    monkeypatch.setattr(sending.KeepingProducer, "flush", leave)
    monkeypatch.setattr(sending.KeepingProducer, "delivered", lambda _: DELIVERED)
    outcomes: Any = NothingJudged()
    with keeping_what_was_done() as said:
        waiting = asyncio.create_task(sending.send_and_wait(Settings(), outcomes, "acct-1", "id-1", send_nothing, 30))
        await outcomes.asked.wait()
        await end(waiting)
    told = describe_interruption(said)
    assert re.search(r"^interrupted, sent as event id-1: it is on Kafka and counts once .* than id-1\.$", told)


async def enter(producer: sending.KeepingProducer) -> sending.KeepingProducer:
    return producer


async def leave(*_: object) -> None: ...


async def end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_interrupts_the_sending_is_told_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def send(*_: object) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(sending.KeepingProducer, "__aenter__", enter)
    monkeypatch.setattr(sending.KeepingProducer, "__aexit__", leave)
    with keeping_what_was_done() as said:
        sent = asyncio.create_task(sending.send_event(Settings(), "id-1", send))
        await begun.wait()
        await end(sent)
    told = "interrupted while it was sent. It may have arrived: repeat with --event-id id-1"
    assert describe_interruption(said) == told


async def test_whoever_interrupts_what_comes_after_the_sending_is_told_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer is closed, and whatever else: that waits as well."""
    closes = asyncio.Event()

    async def close(*_: object) -> None:
        closes.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(sending.KeepingProducer, "__aenter__", enter)
    monkeypatch.setattr(sending.KeepingProducer, "__aexit__", close)
    monkeypatch.setattr(sending.KeepingProducer, "flush", leave)
    monkeypatch.setattr(sending.KeepingProducer, "delivered", lambda _: DELIVERED)
    with keeping_what_was_done() as said:
        sent = asyncio.create_task(sending.send_event(Settings(), "id-1", send_nothing))
        await closes.wait()
        await end(sent)
    assert describe_interruption(said).startswith("interrupted, sent as event id-1: it is on Kafka")


def test_ctrl_c_while_a_verb_closes_what_it_opened_says_what_was_done() -> None:
    typist = Typist(*as_command(AFTERWARDS))
    typist.read_until("closing")
    typist.press_ctrl_c()
    assert typist.end() == Exit.INTERRUPTED
    assert typist.shown.endswith("interrupted, sent as event id-1\r\n")
