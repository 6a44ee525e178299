"""When something counts as lost, and when as found again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meter.runtime.process import probes
from meter.runtime.process.health import Health
from tests.support import until


class Answers:
    """Gives the answers of its script in turn, the last one for ever."""

    name = "thing"
    where: str | None = None

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.asked = self.closed = 0

    async def ask(self) -> None:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, TimeoutError):
            await asyncio.Event().wait()
        if answer is not None:
            raise answer

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE_S", "ANSWER_S", "RECONNECT_S"):
        monkeypatch.setattr(probes, name, 0.01)


@asynccontextmanager
async def watched(probe: Answers) -> AsyncIterator[Health]:
    health = Health()
    health.set_ready("thing", True)
    watching = asyncio.create_task(probes.watch_reachable(probe, health))
    try:
        yield health
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        assert watching.cancelled()


async def test_what_does_not_answer_is_lost_and_found_again() -> None:
    probe = Answers(None, ConnectionError("gone"), ConnectionError("gone"), TimeoutError(), TimeoutError(), None)
    async with watched(probe) as health:
        await until(lambda: not health.ready)
        await until(lambda: health.ready)
    assert probe.closed == 5, "a connection that failed is not asked again, and the last one is closed"


async def test_one_lost_connection_is_no_outage() -> None:
    assert await probes.find_fault(Answers(ConnectionResetError("idle too long"), None)) is None


async def test_an_answer_that_does_not_come_is_a_fault() -> None:
    assert await probes.find_fault(Answers(TimeoutError())) == "no answer came in time"


async def test_readiness_says_why_and_on_which_of_several_hosts() -> None:
    probe = Answers(ConnectionError("it takes no writes"))
    probe.where = "db-2.example.com:5432"
    async with watched(probe) as health:
        await until(lambda: not health.ready)
        assert health.report()["details"] == {
            "thing": {"detail": "it takes no writes", "host": "db-2.example.com:5432"},
        }
