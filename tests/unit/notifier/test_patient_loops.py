"""A loop beside the mailer bears what passes by itself: its end would cut off letters that are under way."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from meter.runtime.errors import TransientError
from meter.runtime.kafka.patience import MOST_FAILURES
from meter.runtime.process.metrics import Metrics
from notifier.mail.report import MailReport
from notifier.old_letters import OldLetters
from notifier.retries import RetryLoop
from tests.unit.notifier.fakes import FakeClock

COUNTS = {"waiting": 1, "due": 1, "overdue_s": 2.0, "oldest_s": 7200.0, "held": 1}


class Database:
    """Fails so many times; then it answers, and the loop is stopped."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error = failures, error
        self.asked = 0
        self.stop = asyncio.Event()

    def answer(self) -> None:
        self.asked += 1
        if self.asked <= self.failures:
            raise self.error
        self.stop.set()

    async def fetchval(self, *_: object) -> int:
        self.answer()
        return 0

    async def fetch(self, *_: object) -> list[Any]:
        self.answer()
        return []

    async def count(self) -> Mapping[str, float]:
        self.answer()
        return COUNTS


LOOPS: dict[str, Callable[[Any], Any]] = {
    "counts what waits": lambda database: MailReport(database, Metrics(), pause_s=0),
    "takes bytes of old letters": lambda database: OldLetters(database, 30, poll_s=0),
    "answers support": lambda database: RetryLoop(database, FakeClock(), (), poll_s=0),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("failures", [1, MOST_FAILURES - 1])
async def test_what_passes_is_borne(name: str, failures: int) -> None:
    database = Database(failures, TransientError("statement timeout"))
    async with asyncio.timeout(10):
        await LOOPS[name](database).run(database.stop)
    assert database.asked == failures + 1


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize(
    ("error", "asked"), [(TransientError("statement timeout"), MOST_FAILURES), (ValueError("a bug"), 1)]
)
async def test_what_does_not_pass_is_raised(name: str, error: Exception, asked: int) -> None:
    database = Database(MOST_FAILURES, error)
    async with asyncio.timeout(10):
        with pytest.raises(type(error)):
            await LOOPS[name](database).run(database.stop)
    assert database.asked == asked


async def test_what_waits_is_shown() -> None:
    metrics, database = Metrics(), Database(0, ValueError())
    report: Any = MailReport(database, metrics, pause_s=0)  # type: ignore[arg-type]
    await report.run(database.stop)
    names = ("emails_due", "emails_overdue_seconds", "emails_oldest_seconds", "emails_held")
    assert [metrics.read(name) for name in names] == [{"": 1}, {"": 2}, {"": 7200}, {"": 1}]
    assert metrics.read("waiting") == {"emails": 1}
