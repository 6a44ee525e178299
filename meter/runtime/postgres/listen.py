"""Waking by LISTEN/NOTIFY. Only a hint, lost behind transaction pooling and while reconnecting: loops poll too."""

import asyncio
from collections.abc import Callable

import asyncpg

from meter.runtime.errors import explain
from meter.runtime.log import get_logger
from meter.runtime.postgres import connect, is_transient
from meter.runtime.waiting import pauses, wait_for

log = get_logger("listen")

CHECK_S = 30


class Wakeups:
    """Sets `events` (and calls `on_payload`) on every notification of a channel. Runs beside the loops as a service.

    `heard`: a notification has come on the present connection, so that looks without one may be rare. A look that finds
    work all the same says so with `doubt`, and looks are frequent again until the next notification.
    """

    def __init__(
        self, dsn: str, channel: str, *events: asyncio.Event, on_payload: Callable[[str], None] | None = None
    ) -> None:
        self.name = f"wakeups-{channel}"
        self.heard = False
        self._dsn = dsn
        self._channel = channel
        self._events = list(events)
        self._on_payload = on_payload

    def add(self, event: asyncio.Event) -> None:
        self._events.append(event)

    def doubt(self) -> None:
        self.heard = False

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until stopped; a lost connection is opened again, and nobody else is bothered with it."""
        steps = pauses(0.2, 15)
        while not stop.is_set():
            try:
                await self._listen(stop)
                steps = pauses(0.2, 15)
            except Exception as error:
                if not is_transient(error):
                    raise
                pause_s = next(steps)
                log.info("listen_lost", channel=self._channel, detail=explain(error), pause_s=round(pause_s, 2))
                await wait_for(stop, pause_s)

    async def _listen(self, stop: asyncio.Event) -> None:
        connection = await connect(self._dsn, f"credit-{self.name}")
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(self._channel, self._on_notify)
            self._wake()  # what was notified before is unknown
            await self._wait_for_end(connection, stop, lost)
        finally:
            self.heard = False
            await close_connection(connection)

    async def _wait_for_end(self, connection: asyncpg.Connection, stop: asyncio.Event, lost: asyncio.Event) -> None:
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(lost.wait())]
        try:
            while not stop.is_set() and not lost.is_set():
                await asyncio.wait(ends, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
                if not lost.is_set():
                    await connection.execute("SELECT 1")  # a black hole shows up here
        finally:
            for end in ends:
                end.cancel()
        if lost.is_set() and not stop.is_set():
            raise ConnectionResetError("the connection ended")

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if self._on_payload is not None:
            self._on_payload(str(payload))
        self.heard = True
        self._wake()

    def _wake(self) -> None:
        for event in self._events:
            event.set()


async def close_connection(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
