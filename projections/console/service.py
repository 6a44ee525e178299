"""`projections console` put together: the pool, the watch of live pages, the HTTP server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from meter.runtime.clock import Clock, SystemClock
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import check_set_up, opened_pool
from meter.runtime.process.health import Health
from meter.runtime.process.service import Build, Service
from projections.console.access import Guard
from projections.console.api import Console
from projections.console.app import make_app
from projections.console.connections import bounded_protocol, raise_file_limit
from projections.console.counting import Counted
from projections.console.live import BalanceWatch
from projections.console.reader import ConsoleReader, sql
from projections.console.settings import ConsoleSettings

log = structlog.get_logger(component="console")
BACKLOG: Final = 1024
CLOSE_S: Final = 5


class QuietServer(uvicorn.Server):
    """Leaves signals to the service around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Answers until the service stops; open streams end with the watch. `port` is the one that was chosen."""

    name = "console-http"

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._socket = listen(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])

    async def run(self, stop: asyncio.Event) -> None:
        raise_file_limit()
        config = uvicorn.Config(
            self._app,
            http=bounded_protocol(),
            backlog=BACKLOG,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_graceful_shutdown=CLOSE_S,
        )
        server = QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        log.info("console_served", host=self.host, port=self.port)
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            stopped.cancel()
            await serving


def listen(host: str, port: int) -> socket.socket:
    """Raises RefusalError where the address is taken or is not ours."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise RefusalError(
            f"the console cannot listen on {host}, port {port}: {error.strerror or error}. "
            "Set METERING_CONSOLE_HOST and METERING_CONSOLE_PORT."
        ) from None


def build_console(settings: ConsoleSettings, clock: Clock | None = None) -> Build:
    clock = clock or SystemClock()
    guard = Guard(settings, clock)

    @asynccontextmanager
    async def build(health: Health) -> AsyncIterator[Sequence[Service]]:
        # Postgres plans a summary for 2 ms, and has it in half of one; it would plan each anew.
        async with opened_pool(settings, "credit-console", plan_once=True) as pool:
            await check_set_up(pool, sql("find_views"))
            health.set_ready("postgres", True)
            health.metrics.watch_pool(pool)
            reader = ConsoleReader(pool)
            watch = BalanceWatch(reader, settings, clock)
            console = Console(settings, reader, watch, guard, clock)
            server = WebServer(Counted(make_app(console), health.metrics), settings.console_host, settings.console_port)
            if not guard.has_keys:
                log.warning("console_open", detail="no keys: everybody on this machine may look at every account")
            yield [watch, server]

    return build
