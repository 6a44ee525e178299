"""Attempts, pauses and ends of a service, with loops that fail on purpose."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from pydantic import SecretStr
from structlog.testing import capture_logs

from meter.runtime.errors import DependencyUnreachableError, LoginRefusedError, SettingsError, TopicIdentityError
from meter.runtime.process.exits import Exit
from meter.runtime.process.health import Health
from meter.runtime.process.service import Build, run_attempts
from meter.runtime.settings import Settings
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within

SETTINGS = Settings(
    retry_first_s=0.001,
    retry_max_s=0.01,
    postgres_dsn="postgresql://someone@127.0.0.1:5432/metering",
    kafka_bootstrap="127.0.0.1:9092",
    kafka_sasl_username="bob",
    kafka_sasl_password=SecretStr("hunter2"),
)


@asynccontextmanager
async def soon() -> AsyncIterator[None]:
    """Much sooner than the pauses and the grace time of a service; what hangs is given up."""
    with within(10):
        async with asyncio.timeout(GIVEN_UP_S):
            yield


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
    count: int, error: BaseException, then: Callable[[asyncio.Event], object]
) -> Callable[[asyncio.Event], object]:
    left = [count]

    def work(stop: asyncio.Event) -> None:
        if left[0]:
            left[0] -= 1
            raise error
        then(stop)

    return work


async def run(journal: Journal, health: Health | None = None) -> Exit:
    async with soon():
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


@pytest.mark.parametrize(
    ("error", "dependency", "words"),
    [
        (GroupAuthorizationFailedError("credit-meter"), "kafka", "lacks Read on a consumer group (credit-meter)"),
        (LoginRefusedError("kafka at b:1 refuses the login", dependency="kafka"), "kafka", "refuses the login"),
        (asyncpg.InvalidPasswordError("password authentication failed"), "postgres", "METERING_POSTGRES_PASSWORD"),
        (asyncpg.InsufficientPrivilegeError("permission denied"), "postgres", "permission denied"),
    ],
)
async def test_who_is_refused_says_why_and_tries_again(error: Exception, dependency: str, words: str) -> None:
    """Also where a loop that has lost its connection fails beside it."""
    health = Health()
    health.expect(dependency)
    health.set_reachable(dependency, True)
    lost = DependencyUnreachableError("gone", dependency="other")
    for raised in (error, ExceptionGroup("", [lost, error])):
        journal = Journal(fail_times(1, raised, lambda stop: stop.set()))
        with capture_logs() as lines:
            watching = asyncio.create_task(until(lambda: words in str(health.report()["details"]), poll_s=0))
            assert await run(journal, health) is Exit.OK
            await watching
        assert journal.opened == 2
        [line] = [line for line in lines if line["event"] == "access_refused"]
        assert words in line["detail"] and (line["dependency"], line["log_level"]) == (dependency, "error")
    assert health.report()["details"] == {}, "it is there again"


async def test_a_refusal_beside_a_bug_is_a_bug() -> None:
    both = ExceptionGroup("", [GroupAuthorizationFailedError("credit-meter"), ValueError("a bug")])
    assert await run(Journal(fail_times(1, both, lambda stop: stop.set()))) is Exit.FAILED


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

    async with soon():
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

    async with soon():
        attempts = asyncio.create_task(run_attempts("meter", settings, Journal(work).build, Health(), stop))
        await failed.wait()
        stop.set()
        assert await attempts is Exit.OK


POSTGRES = ("127.0.0.1:5432", "METERING_POSTGRES_DSN")
KAFKA = ("127.0.0.1:9092", "METERING_KAFKA_SASL_USERNAME=bob", "deploy/kafka-acls.txt")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (asyncpg.InvalidPasswordError("password authentication failed"), None, (*POSTGRES, "role someone")),
        (asyncpg.InvalidCatalogNameError('database "x" does not exist'), None, POSTGRES),
        (asyncpg.InsufficientPrivilegeError("permission denied"), None, (*POSTGRES, "credit_meter")),
        (GroupAuthorizationFailedError("credit-meter"), None, (*KAFKA, "consumer group")),
        (SettingsError("no keys"), Exit.USAGE, ("no keys",)),
        (TopicIdentityError("the topic was re-created"), Exit.FAILED, ("re-created",)),
        (asyncpg.UndefinedTableError('relation "x" does not exist'), Exit.FAILED, (*POSTGRES, "`meter setup`")),
    ],
    ids=["password", "database", "right", "right on kafka", "settings", "topic", "tables"],
)
async def test_what_is_refused_says_who_was_asked_and_what_to_do(
    error: Exception, code: Exit | None, words: tuple[str, ...]
) -> None:
    """A login and a right may be given meanwhile, so they are tried again."""
    journal = Journal(fail_times(1, ExceptionGroup("loops", [error]), lambda stop: stop.set()))
    with capture_logs() as logs:
        assert await run(journal) is (code or Exit.OK)
    [line] = [line for line in logs if line["event"] == ("service_refused" if code else "access_refused")]
    assert [word for word in words if word not in line["detail"]] == []


async def test_a_loop_that_is_cancelled_from_within_is_missed() -> None:
    """As by a client that cancels what it was asked: a task group takes that for done, and all looks well for ever."""
    work = fail_times(1, asyncio.CancelledError(), lambda stop: stop.set())
    opened = 0

    @asynccontextmanager
    async def opening(_health: Health) -> AsyncIterator[list[Loop]]:
        nonlocal opened
        opened += 1
        yield [Loop(work), Loop(lambda stop: None)]

    async with soon():
        assert await run_attempts("meter", SETTINGS, opening, Health(), asyncio.Event()) is Exit.OK
    assert opened == 2


async def test_a_loop_that_ends_by_itself_is_a_bug() -> None:
    class Ends(Loop):
        async def run(self, stop: asyncio.Event) -> None: ...

    @asynccontextmanager
    async def opening(_health: Health) -> AsyncIterator[list[Loop]]:
        yield [Ends(lambda stop: None), Loop(lambda stop: None)]

    with capture_logs() as said:
        async with soon():
            assert await run_attempts("meter", SETTINGS, opening, Health(), asyncio.Event()) is Exit.FAILED
    assert "loop ended, and nobody had stopped it" in repr(
        [line["exc_info"].exceptions for line in said if line["event"] == "service_crashed"]
    )
