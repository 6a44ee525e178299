"""Live pages: one look at all watched accounts at a time, and server-sent events of what changed.

A page holds no queue: each gets the newest state of its account when it is ready for it, so a page that does not read
costs no memory.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import structlog
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from meter.runtime.clock import Clock
from meter.runtime.failures import explain, is_transient
from meter.runtime.waiting import wait_for
from projections.console.periods import find_zone
from projections.console.reader import ConsoleReader
from projections.console.settings import ConsoleSettings
from projections.console.summary import Summary, to_json
from projections.console.tokens import AccessError

log = structlog.get_logger(component="console")
# How often a page hears that its figures are still those of now.
HEARTBEAT: Final = timedelta(seconds=5)
PING_S: Final = 15
SEND_TIMEOUT_S: Final = 10
ACCOUNTS: Final = 10  # that could have all places between them
FEWEST_OF_ACCOUNT: Final = 5


class Channel:
    """One watched account: its newest state, and who waits for the next one."""

    def __init__(self) -> None:
        self.pages = 0
        self.version = 0
        self.data = ""
        self.seen: Summary | None = None
        self.stale = False
        self.told_at: datetime | None = None
        self.changed = asyncio.Event()

    def tell(self, data: str) -> None:
        self.version += 1
        self.data = data
        self.wake()

    def wake(self) -> None:
        waiting, self.changed = self.changed, asyncio.Event()
        waiting.set()


class BalanceWatch:
    """Asks Postgres for all watched accounts in one statement, at most twice a second."""

    name = "console-watch"

    def __init__(self, reader: ConsoleReader, settings: ConsoleSettings, clock: Clock) -> None:
        self._reader = reader
        self._pause_s = settings.console_poll_ms / 1000
        self._stale_after = timedelta(seconds=settings.console_stale_s)
        self._most_pages = settings.console_pages
        self._zone = settings.console_zone
        self._clock = clock
        self._channels: dict[str, Channel] = {}
        self._over = False
        self._away = False
        self.pages = 0

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                if self._channels:
                    await self._try_look()
                await wait_for(stop, self._pause_s)
        finally:
            self._over = True
            for channel in self._channels.values():
                channel.wake()

    async def _try_look(self) -> None:
        """While Postgres is away pages hear nothing, and say so after a while; the console goes on answering."""
        try:
            await self._look()
        except Exception as error:
            if not is_transient(error):
                raise
            if not self._away:
                log.warning("look_failed", detail=explain(error))
            self._away = True
        else:
            self._away = False

    async def _look(self) -> None:
        found = await self._reader.summaries(list(self._channels), runways=False)
        now = self._clock.now()
        for account_id, summary in found.items():
            if channel := self._channels.get(account_id):
                self._compare(channel, summary, now)

    def _compare(self, channel: Channel, summary: Summary, now: datetime) -> None:
        stale = summary.is_stale(self._stale_after)
        same = channel.seen is not None and same_figures(channel.seen, summary) and stale == channel.stale
        quiet = channel.told_at is not None and now - channel.told_at < HEARTBEAT
        if same and quiet:
            return
        channel.seen, channel.stale, channel.told_at = summary, stale, now
        zone = find_zone(summary.time_zone, self._zone)
        channel.tell(json.dumps(to_json(summary, self._stale_after, zone)))

    def take_place(self, account_id: str) -> "Place":
        """Of one page, until it is released. Raises AccessError (503) where there is none: of all places, or of those
        that one account may have."""
        if self.pages >= self._most_pages:
            raise AccessError(503, "too_many_pages", "Too many pages are kept live: this one is not.")
        channel = self._channels.get(account_id)
        if channel is not None and channel.pages >= share_of_places(self._most_pages):
            raise AccessError(
                503, "too_many_pages_of_account", "Too many pages of this account are kept live: this one is not."
            )
        return Place(self, account_id)

    def enter(self, account_id: str) -> Channel:
        channel = self._channels.setdefault(account_id, Channel())
        channel.pages += 1
        self.pages += 1
        return channel

    def leave(self, account_id: str, channel: Channel) -> None:
        self.pages -= 1
        channel.pages -= 1
        if channel.pages == 0:
            self._channels.pop(account_id, None)

    async def follow(self, channel: Channel, until: datetime | None = None) -> AsyncIterator[ServerSentEvent]:
        """The states of an account from now on; what comes between two looks of the page is left out. It ends at the
        first state after `until`, when the token of the page has ended: every account has one within a heartbeat."""
        seen = 0
        while not self._over and (until is None or self._clock.now() < until):
            changed = channel.changed
            if channel.version != seen:
                seen = channel.version
                yield ServerSentEvent(data=channel.data, event="summary", id=str(seen))
            else:
                await changed.wait()


class Place:
    """Taken when the page is admitted, and not when its stream begins: a burst would find every place free."""

    def __init__(self, watch: BalanceWatch, account_id: str) -> None:
        self._watch = watch
        self._account_id = account_id
        self._channel: Channel | None = watch.enter(account_id)

    def stream(self, until: datetime | None) -> AsyncIterator[ServerSentEvent]:
        if self._channel is None:
            raise RuntimeError("the place was released")
        return self._watch.follow(self._channel, until)

    def release(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            self._watch.leave(self._account_id, channel)


class LivePage(EventSourceResponse):
    """Releases its place however it ends, also where nobody waits for its first byte any more."""

    def __init__(self, place: Place, until: datetime | None) -> None:
        super().__init__(
            place.stream(until), ping=PING_S, send_timeout=SEND_TIMEOUT_S, headers={"Cache-Control": "no-store"}
        )
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.release()


def share_of_places(most: int) -> int:
    """How many of all places one account may have: so that no token takes those of all others."""
    return min(most, max(FEWEST_OF_ACCOUNT, most // ACCOUNTS))


def same_figures(old: Summary, new: Summary) -> bool:
    return (old.shares, old.banners, old.state, old.plan, old.display_name) == (
        new.shares, new.banners, new.state, new.plan, new.display_name,
    )  # fmt: skip
