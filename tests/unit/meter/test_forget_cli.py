"""`meter forget` asks before anything that takes long: counting what is in clear reads much of the log."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import typer

from meter import forget_cli, sending
from meter.effects import AccountNow
from meter.runtime.errors import RefusalError
from meter.runtime.settings import Settings
from meter.sending import Effect
from meter.store import outcomes, remains
from meter.store.remains import Remains
from tests.contract.rows import MOMENT

BEFORE = Remains(forgotten=False, refused_cleared=False, read_models=1, letters=1, in_clear=0, on_the_way=0)
AFTER = Remains(forgotten=True, refused_cleared=True, read_models=0, letters=0, in_clear=0, on_the_way=0)


class Bench:
    """The verb with nothing behind it: what it does, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, answer: bool = True, left: Remains = BEFORE, clear: int = 0):
        self.done: list[str] = []
        self.left, self.answer, self.clear = left, answer, clear
        monkeypatch.setattr(forget_cli, "run_verb", lambda command: asyncio.run(command(Settings())))
        monkeypatch.setattr(forget_cli, "confirm", self.confirm)
        monkeypatch.setattr(outcomes, "open_outcomes", self.open)
        monkeypatch.setattr(sending, "check_event", self.pass_by)
        monkeypatch.setattr(sending, "send_and_wait", self.send)
        monkeypatch.setattr(remains, "fetch_left", self.fetch_left)
        monkeypatch.setattr(remains, "count_in_clear", self.count)
        monkeypatch.setattr(remains, "find_sharing", self.pass_by)

    def run(self) -> None:
        forget_cli.forget("acct-1", reason="asked", yes=False, as_json=True)

    @asynccontextmanager
    async def open(self, _: object) -> AsyncIterator[Any]:
        yield self

    async def fetch_account(self, _: str) -> AccountNow:
        return AccountNow("free", None, MOMENT, (), "open")

    async def pass_by(self, *_: object) -> list[str]:
        return []

    async def fetch_left(self, *_: object) -> Remains:
        return self.left

    async def count(self, *_: object) -> int:
        self.done.append("count")
        return self.clear

    def confirm(self, *_: object) -> None:
        self.done.append("ask")
        if not self.answer:
            raise RefusalError("nothing is sent")

    async def send(self, *_: object) -> Effect:
        self.done.append("send")
        self.left = AFTER
        return Effect("id-1", 7, (), None)


def test_what_is_in_clear_is_counted_once_after_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(monkeypatch)
    bench.run()
    assert bench.done == ["ask", "send", "count"]
    assert json.loads(capsys.readouterr().out)["in_clear"] == 0


@pytest.mark.parametrize("left", [BEFORE, AFTER], ids=["no", "forgotten already"])
def test_who_says_no_or_comes_too_late_waits_for_no_count(monkeypatch: pytest.MonkeyPatch, left: Remains) -> None:
    bench = Bench(monkeypatch, answer=False, left=left)
    with pytest.raises(RefusalError):
        bench.run()
    assert bench.done == ([] if left.forgotten else ["ask"])


def test_what_is_left_in_clear_fails_the_verb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(monkeypatch, clear=3)
    with pytest.raises(typer.Exit):
        bench.run()
    assert json.loads(capsys.readouterr().out)["in_clear"] == 3
