"""Attempts, pauses and ends of a service, with loops that fail on purpose."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from pydantic import SecretStr
from structlog.testing import capture_logs

from meter.runtime.errors import DependencyUnreachableError, SettingsError, TopicIdentityError
from meter.runtime.process.exits import Exit
from meter.runtime.process.health import Health
from meter.runtime.process.service import Build, run_attempts
from meter.runtime.settings import Settings

SETTINGS = Settings(
    retry_first_s=0.001,
    retry_max_s=0.01,
    postgres_dsn="postgresql://someone@127.0.0.1:5432/metering",
    kafka_bootstrap="127.0.0.1:9092",
    kafka_sasl_username="bob",
    kafka_sasl_password=SecretStr("hunter2"),
)


class Loop:
    name = "loop"

    def __init__(self, work: Callable[[asyncio.Event], object]) -> None:
        self.work = work

    async def run(self, stop: asyncio.Event) -> None:
        self.work(stop)
        await stop.wait()


class Journal:
    def __init__(self, work: Callable[[asyncio.Event], object]) -> None:
        self.opened = self.closed = 0
        self.work = work
        self.open_error: Exception | None = None

    @property
    def build(self) -> Build:
        @asynccontextmanager
        async def opening(_health: Health) -> AsyncIterator[list[Loop]]:
            self.opened += 1
            if self.open_error is not None:
                error, self.open_error = self.open_error, None
                raise error
            try:
                yield [Loop(self.work)]
            finally:
                self.closed += 1

        return opening


def fail_times(
    count: int, error: Exception, then: Callable[[asyncio.Event], object]
) -> Callable[[asyncio.Event], object]:
    left = [count]

    def work(stop: asyncio.Event) -> None:
        if left[0]:
            left[0] -= 1
            raise error
        then(stop)

    return work


async def run(journal: Journal, health: Health | None = None) -> Exit:
    async with asyncio.timeout(10):
        return await run_attempts("meter", SETTINGS, journal.build, health or Health(), asyncio.Event())


async def test_ends_well_when_stopped() -> None:
    journal = Journal(lambda stop: stop.set())
    assert await run(journal) is Exit.OK
    assert (journal.opened, journal.closed) == (1, 1)


async def test_a_transient_error_opens_everything_anew() -> None:
    journal = Journal(fail_times(3, ConnectionResetError("gone"), lambda stop: stop.set()))
    health = Health()
    assert await run(journal, health) is Exit.OK
    assert (journal.opened, journal.closed) == (4, 4)
    assert health.ready, "what was lost is there again"


async def test_a_dependency_that_is_missing_at_the_start_is_waited_for() -> None:
    journal = Journal(lambda stop: stop.set())
    journal.open_error = DependencyUnreachableError("kafka: no broker", dependency="kafka")
    health = Health()
    assert await run(journal, health) is Exit.OK
    assert journal.opened == 2
    assert b'metering_reconnects_total{dependency="kafka"} 1.0' in health.metrics.render()


async def test_a_refusal_ends_the_process_at_once() -> None:
    journal = Journal(fail_times(9, TopicIdentityError("re-created"), lambda stop: stop.set()))
    assert await run(journal) is Exit.FAILED
    assert (journal.opened, journal.closed) == (1, 1)


async def test_a_bug_ends_the_process_at_once() -> None:
    journal = Journal(fail_times(9, KeyError("bug"), lambda stop: stop.set()))
    assert await run(journal) is Exit.FAILED
    assert journal.opened == 1


async def test_a_stop_while_opening_cancels_it() -> None:
    stop = asyncio.Event()
    entered = asyncio.Event()

    @asynccontextmanager
    async def opening(_health: Health) -> AsyncIterator[list[Loop]]:
        entered.set()
        await asyncio.Event().wait()
        yield []

    async with asyncio.timeout(10):
        attempts = asyncio.create_task(run_attempts("meter", SETTINGS, opening, Health(), stop))
        await entered.wait()
        stop.set()
        assert await attempts is Exit.OK


async def test_a_stop_ends_a_pause() -> None:
    stop = asyncio.Event()
    settings = Settings(retry_first_s=60, retry_max_s=60)
    failed = asyncio.Event()

    def work(_stop: asyncio.Event) -> None:
        failed.set()
        raise ConnectionResetError("gone")

    async with asyncio.timeout(10):
        attempts = asyncio.create_task(run_attempts("meter", settings, Journal(work).build, Health(), stop))
        await failed.wait()
        stop.set()
        assert await attempts is Exit.OK


POSTGRES = ("127.0.0.1:5432", "METERING_POSTGRES_DSN")
KAFKA = ("127.0.0.1:9092", "METERING_KAFKA_SASL_USERNAME=bob", "deploy/kafka-acls.txt")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (asyncpg.InvalidPasswordError("password authentication failed"), Exit.USAGE, (*POSTGRES, "role someone")),
        (asyncpg.InvalidCatalogNameError('database "x" does not exist'), Exit.USAGE, POSTGRES),
        (asyncpg.InsufficientPrivilegeError("permission denied"), Exit.USAGE, (*POSTGRES, "credit_meter")),
        (GroupAuthorizationFailedError("credit-meter"), Exit.USAGE, (*KAFKA, "consumer group")),
        (SettingsError("no keys"), Exit.USAGE, ("no keys",)),
        (TopicIdentityError("the topic was re-created"), Exit.FAILED, ("re-created",)),
        (asyncpg.UndefinedTableError('relation "x" does not exist'), Exit.FAILED, (*POSTGRES, "`meter setup`")),
    ],
    ids=["password", "database", "right", "right on kafka", "settings", "topic", "tables"],
)
async def test_what_is_refused_says_who_was_asked_and_what_to_do(
    error: Exception, code: Exit, words: tuple[str, ...]
) -> None:
    """Also where several loops fail with it at once."""
    journal = Journal(lambda stop: stop.set())
    journal.open_error = ExceptionGroup("loops", [error, ValueError("a bug")])
    with capture_logs() as logs:
        assert await run(journal) is code
    [line] = [line for line in logs if line["event"] == "service_refused"]
    assert [word for word in words if word not in line["detail"]] == []
