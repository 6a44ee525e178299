"""Live pages: a place is taken when a page is admitted, given back however it ends, and no account has all of them."""

import asyncio

import pytest
from starlette.types import Message

from meter.runtime.clock import SystemClock
from projections.console.live import BalanceWatch, LivePage, Place, share_of_places
from projections.console.reader import ConsoleReader
from projections.console.settings import ConsoleSettings
from projections.console.tokens import AccessError

LIVE = {"type": "http", "method": "GET", "path": "/v1/accounts/acct-1/live", "headers": []}


class NoPool:
    """Nobody looks."""


def make_watch(pages: int) -> BalanceWatch:
    return BalanceWatch(ConsoleReader(NoPool()), ConsoleSettings(console_pages=pages), SystemClock())  # type: ignore[arg-type]


def take(watch: BalanceWatch, account_id: str, wanted: int) -> tuple[list[Place], list[str]]:
    """Without a look at any of them, as a burst of requests does it; and the reasons of those that were refused."""
    taken, refused = [], []
    for _ in range(wanted):
        try:
            taken.append(watch.take_place(account_id))
        except AccessError as error:
            refused.append(f"{error.status} {error.code}")
    return taken, refused


def test_a_burst_gets_no_more_places_than_there_are() -> None:
    watch = make_watch(3)
    taken, refused = take(watch, "acct-1", 5)
    assert (len(taken), refused) == (3, ["503 too_many_pages"] * 2)
    assert watch.pages == 3


def test_no_account_takes_the_places_of_all_others() -> None:
    watch = make_watch(100)
    taken, refused = take(watch, "acct-1", 100)
    assert (len(taken), set(refused)) == (10, {"503 too_many_pages_of_account"})
    assert len(take(watch, "acct-2", 1)[0]) == 1
    taken[0].release()
    assert len(take(watch, "acct-1", 2)[0]) == 1


@pytest.mark.parametrize(("most", "share"), [(1, 1), (3, 3), (20, 5), (2_000, 200)])
def test_one_account_has_a_tenth_of_the_places_and_at_least_a_few(most: int, share: int) -> None:
    assert share_of_places(most) == share


def test_a_place_is_given_back_once() -> None:
    watch = make_watch(3)
    first, second = take(watch, "acct-1", 2)[0]
    for _ in range(2):
        first.release()
    assert watch.pages == 1
    second.release()
    assert watch.pages == 0


class Client:
    """Leaves at a message of the answer, or before any is sent."""

    def __init__(self, leaves_at: str | None) -> None:
        self._leaves_at = leaves_at
        self.gone = asyncio.Event()
        if leaves_at is None:
            self.gone.set()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._leaves_at is None:
            await asyncio.Event().wait()
        if message["type"] == self._leaves_at:
            self.gone.set()


@pytest.mark.parametrize("leaves_at", [None, "http.response.start"])
async def test_a_page_gives_its_place_back_when_its_client_leaves(leaves_at: str | None) -> None:
    watch = make_watch(3)
    page, client = LivePage(watch.take_place("acct-1"), None), Client(leaves_at)
    await page(LIVE, client.receive, client.send)
    assert watch.pages == 0


async def test_a_page_that_is_asked_for_its_head_alone_gives_its_place_back() -> None:
    watch = make_watch(3)
    page, client = LivePage(watch.take_place("acct-1"), None), Client("http.response.start")
    await page(LIVE | {"method": "HEAD"}, client.receive, client.send)
    assert watch.pages == 0


async def test_a_page_gives_its_place_back_when_its_answer_fails() -> None:
    watch = make_watch(3)
    page = LivePage(watch.take_place("acct-1"), None)

    async def fail(message: Message) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await page(LIVE, Client("http.response.body").receive, fail)
    assert watch.pages == 0
