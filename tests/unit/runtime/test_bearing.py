"""Looks that only watch: what passes again ends no service, and what does not is raised."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import asyncpg
import pytest

from meter.runtime.history_watch import HistoryWatch
from meter.runtime.kafka.history import History
from meter.runtime.kafka.patience import MOST_FAILURES
from meter.runtime.outbox import OutboxRelay
from meter.runtime.outbox_watch import OutboxWatch
from meter.runtime.process.health import Health
from projections.lag import LagWatch, UnopenedWatch
from projections.store import FoldStore, ShardLag
from tests.support import until


class Asked:
    """A database that refuses the first so many questions, as a statement that ran into its limit does."""

    name = "outbox"

    def __init__(self, refused: int, error: type[Exception] = asyncpg.QueryCanceledError) -> None:
        self.refused = refused
        self.error = error
        self.answered = 0

    def answer(self) -> None:
        if self.refused:
            self.refused -= 1
            raise self.error("canceling statement due to statement timeout")
        self.answered += 1

    async def measure_age(self) -> float:
        self.answer()
        return 7.0

    async def count_unopened(self) -> int:
        self.answer()
        return 7

    async def measure_lag(self) -> Sequence[ShardLag]:
        self.answer()
        return [ShardLag(0, 1, 0, 0.0)]

    async def fetch_offsets(self, _topics: Sequence[str], _shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        self.answer()
        return {}


def watch_history(asked: Asked) -> HistoryWatch:
    history = History()
    history.note("u", 0, 1)
    return HistoryWatch(history, asked, ("u",), lambda: {0}, every_s=0.001)


WATCHES: dict[str, Callable[[Asked], Any]] = {
    "age of the outbox": lambda asked: OutboxWatch(cast(OutboxRelay, asked), Health(), every_s=0.001),
    "accounts that nobody opened": lambda asked: UnopenedWatch(cast(FoldStore, asked), Health(), every_s=0.001),
    "lag of the fold": lambda asked: LagWatch(asked, Health(), "fold", every_s=0.001),
    "history": watch_history,
}


@pytest.fixture(params=WATCHES)
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Asked], Any]:
    monkeypatch.setattr("projections.lag.REST_S", 0.001)
    return WATCHES[request.param]


async def test_a_look_that_fails_is_borne_and_looked_again(make: Callable[[Asked], Any]) -> None:
    asked, stop = Asked(MOST_FAILURES - 1), asyncio.Event()
    running = asyncio.create_task(make(asked).run(stop))
    await until(lambda: asked.answered >= 2 or running.done())
    stop.set()
    await running
    assert asked.refused == 0


async def test_one_that_goes_on_failing_is_raised(make: Callable[[Asked], Any]) -> None:
    with pytest.raises(asyncpg.QueryCanceledError):
        await make(Asked(MOST_FAILURES)).run(asyncio.Event())


async def test_what_does_not_pass_is_raised_at_once(make: Callable[[Asked], Any]) -> None:
    asked = Asked(1, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        await make(asked).run(asyncio.Event())
    assert asked.answered == 0
