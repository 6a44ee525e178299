"""Who keeps the console waiting, for a request or as a reader, is cut off; who is being answered is not."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from projections.console.connections import (
    LOOKS,
    READER_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    bounded_protocol,
    most_waiting,
)
from projections.console.large import Large
from projections.console.service import QuietServer
from tests.support.waiting import until

MOST, REQUEST_S, READER_S = 3, 0.4, 0.8
LONG_S = 60  # where a busy machine must not be taken for somebody who keeps the console waiting
ASK = b"GET /small HTTP/1.1\r\nHost: credits.example.com\r\n\r\n"
CHUNK = b"x" * 1_000_000
given_back: list[str] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """/large is more than the system keeps for a client, and /whole as much in one piece; /live never ends, a byte at a
    time; /late is a large answer that is to be read at once; all else is small.

    What is posted is read to its end first.
    """
    while scope["method"] == "POST":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if not message["more_body"]:
            break
    if scope["path"] == "/late":
        await Large(Response(CHUNK * 64), lambda: given_back.append(scope["path"]), read_s=0.1)(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64 if scope["path"] == "/large" else 0):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    while scope["path"] == "/live":
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await receive_end(receive)
                return
    await send({"type": "http.response.body", "body": CHUNK * 64 if scope["path"] == "/whole" else b"small"})


async def receive_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Client:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    async def take(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._socket, 65_536)

    async def take_answer(self) -> None:
        taken = b""
        while not taken.endswith(b"small\r\n0\r\n\r\n"):
            if not (more := await self.take()):
                raise ConnectionResetError("it was cut off")
            taken += more

    async def take_length(self) -> int:
        """Of all that comes until the connection ends."""
        taken = 0
        while more := await self.take():
            taken += len(more)
        return taken

    async def is_cut(self) -> bool:
        """Reads to the end of the connection. False: it is still open after all these times."""
        try:
            async with asyncio.timeout(4 * (REQUEST_S + READER_S)):
                while await self.take():
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


class Served:
    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server, self._port = server, port
        self.clients: list[Client] = []

    def connect(self) -> Client:
        self.clients.append(Client(self._port))
        return self.clients[-1]

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve() as made:
        yield made


@pytest.fixture
async def patient() -> AsyncIterator[Served]:
    async with serve(LONG_S) as made:
        yield made


@asynccontextmanager
async def serve(request_s: float = REQUEST_S, reader_s: float = READER_S) -> AsyncIterator[Served]:
    own = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=bounded_protocol(MOST, request_s, reader_s), log_config=None, access_log=False, lifespan="off",
        ws="none", timeout_keep_alive=60, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[own]))
    await until(lambda: server.started)
    made = Served(server, own.getsockname()[1])
    try:
        yield made
    finally:
        for client in made.clients:
            client.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("sent", [b"", ASK[:10], ASK, ASK + ASK[:10]], ids=["idle", "half", "answered", "half again"])
async def test_who_sends_no_whole_request_is_cut_off(served: Served, sent: bytes) -> None:
    client = served.connect()
    client.send(sent)
    assert await client.is_cut()
    await until(lambda: served.connections == 0)


async def test_bytes_that_make_no_request_do_not_prolong_the_time(served: Served) -> None:
    client, begun = served.connect(), time.monotonic()
    await until(lambda: served.connections == 1)

    def send_one_more() -> bool:
        with contextlib.suppress(ConnectionError):
            client.send(b"G")
        return served.connections == 0

    await until(send_one_more, 10 * REQUEST_S, "it is cut off", poll_s=REQUEST_S / 10)
    assert time.monotonic() - begun >= REQUEST_S / 2


POST = b"POST /small HTTP/1.1\r\nHost: credits.example.com\r\n"
ENDLESS = {
    "too short": POST + b"Content-Length: 100000\r\n\r\ntoken=",
    "in chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nt\r\n",
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_a_body_without_end_is_cut_off(served: Served, kind: str) -> None:
    client, begun = served.connect(), time.monotonic()
    client.send(ENDLESS[kind])
    await until(lambda: served.server.server_state.tasks, message="it is being read")
    drip = b"1\r\nx\r\n" if kind == "in chunks" else b"x"

    def send_one_more() -> bool:
        with contextlib.suppress(ConnectionError):
            client.send(drip)
        return served.connections == 0

    await until(send_one_more, 10 * REQUEST_S, "it is cut off", poll_s=REQUEST_S / 10)
    assert time.monotonic() - begun >= REQUEST_S / 2, "who sends a body has its time"
    await until(lambda: not served.server.server_state.tasks, message="nobody reads it any more")


async def test_a_body_that_comes_slowly_and_ends_is_answered(patient: Served) -> None:
    client = patient.connect()
    client.send(POST + b"Content-Length: 2\r\n\r\na")
    await until(lambda: patient.server.server_state.tasks, message="it is being read")
    client.send(b"b")
    await client.take_answer()


async def test_who_asks_again_has_all_the_time_again(patient: Served) -> None:
    client = patient.connect()
    ends = []
    for _ in range(3):
        client.send(ASK)
        await client.take_answer()
        [connection] = patient.server.server_state.connections
        ends.append(vars(connection)["_timer"].when())
    assert ends == sorted(set(ends)), "when it will be cut off"


async def test_a_large_answer_that_is_not_read_in_its_time_ends_with_its_connection(patient: Served) -> None:
    given_back.clear()
    client = patient.connect()
    client.send(ASK.replace(b"small", b"late"))
    await until(lambda: given_back)
    async with asyncio.timeout(LONG_S):
        assert 0 < await client.take_length() < 64 * len(CHUNK)
    await until(lambda: patient.connections == 0)


async def test_of_too_many_the_oldest_is_cut_off(patient: Served) -> None:
    oldest, *others = [patient.connect() for _ in range(MOST + 1)]
    assert await oldest.is_cut(), "before its time"
    others[-1].send(ASK)
    await others[-1].take_answer()


async def test_who_stops_reading_is_cut_off_and_what_answers_ends(served: Served) -> None:
    client = served.connect()
    client.send(ASK.replace(b"small", b"large"))
    await until(lambda: served.server.server_state.tasks, message="it is being answered")
    await until(lambda: not served.server.server_state.tasks, 10 * READER_S, "nobody answers any more")
    assert await client.is_cut()


async def test_an_answer_that_was_handed_over_whole_waits_for_its_reader() -> None:
    """No request is waited for while megabytes of the last answer are still to be read."""
    async with serve(REQUEST_S, LONG_S) as served:
        client = served.connect()
        client.send(ASK.replace(b"small", b"whole").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await until(lambda: served.connections == 1 and is_answered(served))
        begun = time.monotonic()
        await until(lambda: time.monotonic() - begun > 2 * REQUEST_S, message="the time of a request has passed")
        assert await client.take_length() > 64 * len(CHUNK)


def is_answered(served: Served) -> bool:
    [connection] = served.server.server_state.connections
    cycle = vars(connection)["cycle"]
    return cycle is not None and bool(cycle.response_complete)


class HeldTransport(asyncio.Transport):
    """Keeps what is written until the test reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: H11Protocol | None = None
        self.unread = 0
        self.aborted = self.closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0, "every byte counts"

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        is_first = self.unread == 0
        self.unread += len(data)
        if is_first and self.unread and self.protocol is not None:
            self.protocol.pause_writing()

    def read(self, count: int) -> None:
        """As the client does it."""
        self.unread = max(0, self.unread - count)
        if self.unread == 0 and self.protocol is not None:
            self.protocol.resume_writing()

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class HeldLoop:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._calls: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        made = asyncio.TimerHandle(self._now + delay, callback, (), cast(asyncio.AbstractEventLoop, self))
        self._calls.append(made)
        return made

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._calls.remove(handle)

    def get_debug(self) -> bool:
        return False

    def create_task(self, work: Coroutine[Any, Any, None], **more: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, **more)

    def pass_s(self, seconds: float) -> None:
        end = self._now + seconds
        while due := sorted((call for call in self._calls if call.when() <= end), key=asyncio.TimerHandle.when):
            self._now = due[0].when()
            self._calls.remove(due[0])
            due[0]._run()
        self._now = end


@pytest.fixture
async def held() -> tuple[HeldTransport, HeldLoop]:
    """A connection that was answered, and nothing of the answer is read yet."""
    transport, loop = HeldTransport(), HeldLoop()
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    config.load()
    made = bounded_protocol(MOST)(config, ServerState(), {}, cast(asyncio.AbstractEventLoop, loop))
    transport.protocol = made
    made.connection_made(transport)
    made.data_received(ASK.replace(b"small", b"whole"))

    def read_head() -> bool:
        """The body is written when nothing is left of the head."""
        if transport.unread < len(CHUNK):
            transport.read(len(CHUNK))
        return bool(made.cycle.response_complete)

    await until(read_head, message="it is answered")
    return transport, loop


async def test_who_reads_slowly_has_all_of_it_in_the_end(held: tuple[HeldTransport, HeldLoop]) -> None:
    transport, loop = held
    while transport.unread:
        loop.pass_s(READER_TIMEOUT_S * 0.8)
        assert not transport.aborted, f"{transport.unread} bytes were thrown away"
        transport.read(4 * len(CHUNK))
    loop.pass_s(REQUEST_TIMEOUT_S)
    assert transport.aborted, "the next request has its own time"


async def test_who_reads_no_more_is_cut_off_after_the_time_of_a_reader(held: tuple[HeldTransport, HeldLoop]) -> None:
    transport, loop = held
    loop.pass_s(READER_TIMEOUT_S - 1)
    transport.read(1)
    loop.pass_s(READER_TIMEOUT_S - 1)
    assert not transport.aborted
    loop.pass_s(READER_TIMEOUT_S / LOOKS + 1)
    assert transport.aborted


async def test_a_live_page_that_reads_stays_beside_many_that_wait(served: Served) -> None:
    page, begun = served.connect(), time.monotonic()
    page.send(ASK.replace(b"small", b"live"))
    while time.monotonic() - begun < 2 * (REQUEST_S + READER_S):
        assert await page.take()
        served.connect()


def test_as_many_wait_as_there_are_live_pages_where_files_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart all pages come at once, and nobody's is cut off."""
    for soft, most in ((1_024, 256), (8_192, 2_048), (resource.RLIM_INFINITY, 2_048)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, resource.RLIM_INFINITY))
        assert most_waiting() == most
