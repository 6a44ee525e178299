"""Large answers: two are made at a time and one of an account, off the event loop; others are answered meanwhile."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self
from zoneinfo import ZoneInfo

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message

from meter.runtime.clock import SystemClock
from projections.console import api, pages, reader
from projections.console.access import Guard
from projections.console.api import Console
from projections.console.app import make_app
from projections.console.large import CHUNK, LARGE, READ_S, LargeAnswers
from projections.console.live import BalanceWatch
from projections.console.periods import Period
from projections.console.reader import ConsoleReader
from projections.console.rows import Amount, Item, Point, Usage
from projections.console.settings import ConsoleSettings
from projections.console.summary import Summary
from projections.console.tokens import AccessError
from tests.support.virtual_loop import run_virtually
from tests.support.waiting import until

WAIT_S = 60
NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
USED = Usage(
    resource="model_credits", kind="model_inference", item="small-chat", amount=Decimal(1), deployment="", category="",
    status="", events=1, tokens_in=Decimal(0), tokens_out=Decimal(0), seconds=Decimal(0), last_used=NOW,
)  # fmt: skip
ITEM = Item(
    kind="model", id="small-chat", name="small-chat", status=None, owner=None, type=None, language=None, version=None,
    reason=None, deployed_at=None, deployment="", first_used=None, hardware=None, replicas=None, cpus=None,
    memory_gb=None, told=True,
)  # fmt: skip
SUMMARY = Summary(
    account_id="acct-1", display_name=None, plan="free", state="open", time_zone=None, shares=[], banners=[], as_of=NOW,
    lag=timedelta(0),
)  # fmt: skip


class Held:
    """Answers that are made until the test lets them go."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.now: Counter[str] = Counter()
        self.most_at_once = self.most_of_account = 0

    def maker(self, account_id: str, size: int = 0) -> Callable[[], Any]:
        async def make() -> Response:
            self.now[account_id] += 1
            self.most_at_once = max(self.most_at_once, self.now.total())
            self.most_of_account = max(self.most_of_account, self.now[account_id])
            await self.over.wait()
            self.now[account_id] -= 1
            return Response(b"x" * size)

        return make


async def test_two_are_made_at_a_time_and_one_of_an_account() -> None:
    answers, held = LargeAnswers(), Held()
    asked = ["acct-1"] * 8 + ["acct-2"] * 3 + ["acct-3"] * 3
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answers.make(account_id, held.maker(account_id))) for account_id in asked]
        await until(lambda: held.now.total() == 2, message="the second place is for another account")
        held.over.set()
    assert (held.most_at_once, held.most_of_account) == (2, 1)
    assert [task.result().status_code for task in tasks] == [200] * len(asked)
    assert answers.taken == 0


async def test_as_many_as_wait_are_bounded_of_one_account_and_of_all() -> None:
    answers, held = LargeAnswers(most=5, most_of_account=3), Held()
    async with asyncio.TaskGroup() as group:
        for account_id, more in (("acct-1", 3), ("acct-2", 2)):
            for _ in range(more):
                group.create_task(answers.make(account_id, held.maker(account_id)))
            await until(lambda: held.now.total() > 0)
            if account_id == "acct-1":
                await refused(answers, "acct-1")
        await until(lambda: answers.taken == 5)
        await refused(answers, "acct-3")
        held.over.set()
    assert (await answers.make("acct-3", held.maker("acct-3"))).status_code == 200


async def refused(answers: LargeAnswers, account_id: str) -> None:
    with pytest.raises(AccessError) as caught:
        await answers.make(account_id, Held().maker(account_id))
    assert (caught.value.status, caught.value.code) == (503, "too_many_answers")


async def test_a_large_answer_holds_its_place_until_it_is_read() -> None:
    answers, held = LargeAnswers(), Held()
    held.over.set()
    answer = await answers.make("acct-1", held.maker("acct-1", LARGE + 1))
    assert answers.taken == 1
    sent = bytearray()

    async def send(message: Message) -> None:
        assert answers.taken == 1
        part = message.get("body", b"")
        assert len(part) <= CHUNK
        sent.extend(part)

    await answer({"type": "http", "method": "GET"}, no_message, send)
    assert (len(sent), answers.taken) == (LARGE + 1, 0)
    assert answer.headers["content-length"] == str(LARGE + 1)


async def test_an_answer_that_fails_or_is_not_taken_gives_its_place_back() -> None:
    answers, held = LargeAnswers(), Held()

    async def fail(*_: Any) -> Any:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await answers.make("acct-1", fail)
    held.over.set()
    answer = await answers.make("acct-1", held.maker("acct-1", LARGE + 1))
    with pytest.raises(ConnectionResetError):
        await answer({"type": "http", "method": "GET"}, no_message, fail)
    assert answers.taken == 0


def test_a_reader_that_takes_a_little_now_and_then_keeps_its_place_for_some_minutes() -> None:
    async def play() -> None:
        answers, held = LargeAnswers(), Held()
        held.over.set()
        answer = await answers.make("acct-1", held.maker("acct-1", 100 * CHUNK))
        messages: list[Message] = []

        async def send(message: Message) -> None:
            await asyncio.sleep(50)
            messages.append(message)

        await answer({"type": "http", "method": "GET"}, no_message, send)
        assert (answers.taken, asyncio.get_running_loop().time()) == (0, READ_S)
        assert messages[-1]["more_body"], "the server ends the connection of an answer that is not whole"

    run_virtually(play())


async def test_another_timeout_is_not_taken_for_a_reader() -> None:
    answers, held = LargeAnswers(), Held()
    held.over.set()
    answer = await answers.make("acct-1", held.maker("acct-1", LARGE + 1))

    async def fail(*_: Any) -> Any:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await answer({"type": "http", "method": "GET"}, no_message, fail)
    assert answers.taken == 0


async def no_message() -> Message:
    raise AssertionError("nothing is read")


class FewRows(ConsoleReader):
    """One account with one item."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[Self]:
        yield self

    async def summary(self, account_id: str) -> Summary:
        return SUMMARY

    async def usage(self, account_id: str, period: Period, kind: str | None = None) -> list[Usage]:
        return [USED]

    async def amounts(self, account_id: str, period: Period) -> Sequence[Amount]:
        return [USED]

    async def points(self, account_id: str, period: Period) -> list[Point]:
        return [Point(at=NOW, resource="model_credits", kind="model_inference", amount=Decimal(1))]

    async def catalogue(self, account_id: str) -> list[Item]:
        return [ITEM]

    async def first_use(self, account_id: str, kind: str | None = None) -> date | None:
        return None


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    settings, clock, rows = ConsoleSettings(), SystemClock(), FewRows()
    app = make_app(Console(settings, rows, BalanceWatch(rows, settings, clock), Guard(settings, clock), clock))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=None) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "module", "work"),
    [
        ("/v1/accounts/acct-1/usage", api, "json_ready"),
        ("/v1/accounts/acct-1/items", api, "json_ready"),
        ("/accounts/acct-1/models", pages, "items_content"),
        ("/accounts/acct-1/overview", pages, "overview_content"),
        ("/accounts/acct-1/models.csv", pages, "to_csv"),
        ("/accounts/acct-1/models.csv", pages, "item_page"),
    ],
)
async def test_others_are_answered_while_a_large_answer_is_made(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str, module: Any, work: str
) -> None:
    begun, over, was_let_go = threading.Event(), threading.Event(), []
    done = getattr(module, work)

    def hold(*args: Any) -> Any:
        begun.set()
        was_let_go.append(over.wait(WAIT_S))
        return done(*args)

    monkeypatch.setattr(module, work, hold)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(client.get(path))
        await until(begun.is_set)
        try:
            assert not over.is_set() and not was_let_go, "it was made on the event loop"
            assert (await client.get("/v1/accounts/acct-1/allowed")).status_code == 402
        finally:
            over.set()
    assert asked.result().status_code == 200


async def test_rows_become_values_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    done = reader.values_of

    def values_of(made: type[Any], rows: Iterable[Any]) -> list[Any]:
        threads.append(threading.get_ident())
        return done(made, rows)

    class NoRows:
        async def fetch(self, *_: Any) -> list[Any]:
            return []

    monkeypatch.setattr(reader, "values_of", values_of)
    asked = ConsoleReader(NoRows())  # type: ignore[arg-type]
    days = Period(
        name="30d", first=date(2026, 10, 28), last=date(2026, 11, 26), start=NOW, end=NOW, unit="day",
        zone=ZoneInfo("UTC"),
    )  # fmt: skip
    await asked.usage("acct-1", days)
    await asked.amounts("acct-1", days)
    await asked.catalogue("acct-1")
    assert len(threads) == 3 and threading.get_ident() not in threads
