"""Who stops reading the console's answer is cut off; who reads it, however little at a time, is not."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from projections.console.connections import LOOKS, READER_TIMEOUT_S, REQUEST_TIMEOUT_S, bounded_protocol
from tests.support.waiting import until
from tests.unit.projections.console.served import (
    ASK,
    CHUNK,
    LONG_S,
    MOST,
    READER_S,
    REQUEST_S,
    Served,
    app,
    given_back,
    serve,
)


async def test_a_large_answer_that_is_not_read_in_its_time_ends_with_its_connection(patient: Served) -> None:
    given_back.clear()
    client = patient.connect()
    client.send(ASK.replace(b"small", b"late"))
    await until(lambda: given_back)
    async with asyncio.timeout(LONG_S):
        assert 0 < await client.take_length() < 64 * len(CHUNK)
    await until(lambda: patient.connections == 0)


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
