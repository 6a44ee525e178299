"""What the probe keeps of what the server says: since when a transaction is open, whoever has it."""

import asyncio
from typing import cast

import pytest

from meter.runtime.postgres import Executor
from meter.runtime.postgres.probe import WHOLE_LOOK_S, PostgresProbe
from meter.runtime.postgres.transactions import COMMITS
from meter.runtime.settings import Settings
from tests.support.virtual_loop import run_virtually


def test_the_oldest_transaction_is_counted_from_when_it_was_first_seen() -> None:
    probe = PostgresProbe(Settings(postgres_dsn="postgresql://localhost/x"), "tests")
    for now, holding, oldest_s in [
        (100.0, (), 0),
        (101.0, ("7 500",), 0),
        (161.0, ("7 500", "8 510"), 60),
        (171.0, ("8 510", "7 520"), 10),  # the first has ended, and its process has begun another
        (172.0, (), 0),
    ]:
        probe._note_holding(holding, now)
        assert probe.oldest_transaction_s == oldest_s


async def test_of_a_server_that_does_not_answer_no_transaction_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = PostgresProbe(Settings(postgres_dsn="postgresql://localhost/x"), "tests")
    probe._note_holding(("7 500",), 100.0)
    probe._note_holding(("7 500",), 160.0)
    assert probe.oldest_transaction_s == 60

    async def fail() -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(probe, "_ask", fail)
    with pytest.raises(ConnectionResetError):
        await probe.ask()
    assert probe.oldest_transaction_s == 0


class FakeServer:
    """Notes which statement it was asked, and says what it is told to."""

    def __init__(self) -> None:
        self.asked: list[bool] = []  # whether it was for everything
        self.holding: list[str] = []

    async def fetchrow(self, statement: str) -> dict[str, object]:
        self.asked.append("pg_stat_activity" in statement)
        return {"reads_only": False, "waiting_s": None, "working": [], "holding": self.holding}

    def get_server_pid(self) -> int:
        return 7


def test_everything_is_looked_at_now_and_then_and_while_there_is_something_to_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = FakeServer()

    async def connect(*_: object) -> FakeServer:
        return server

    async def ask(times: int) -> list[bool]:
        server.asked.clear()
        for _ in range(times):
            await probe.ask()
            await asyncio.sleep(1)
        return server.asked

    async def follow() -> None:
        assert await ask(5) == [True, False, False, True, False]
        with COMMITS.under_way(cast(Executor, server)):
            assert await ask(2) == [True, True]
        server.holding = ["7 500"]
        await ask(round(WHOLE_LOOK_S))
        assert await ask(2) == [True, True]

    monkeypatch.setattr("meter.runtime.postgres.probe.connect", connect)
    probe = PostgresProbe(Settings(postgres_dsn="postgresql://localhost/x"), "tests")
    run_virtually(follow())
