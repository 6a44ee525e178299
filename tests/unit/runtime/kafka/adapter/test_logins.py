"""A connection that a broker takes and then leaves alone."""

import asyncio
from typing import Any

import pytest
from aiokafka.conn import create_conn

from meter.runtime.kafka.adapter import logins
from meter.runtime.kafka.adapter.logins import CONNECT_S, LOGINS, follow_logins
from meter.runtime.kafka.adapter.options import REQUEST_TIMEOUT_MS
from meter.runtime.kafka.failures import is_transient
from tests.support.virtual_loop import run_virtually


async def test_a_broker_that_takes_a_connection_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "CONNECT_S", 0.05)
    follow_logins()
    LOGINS.take_failure()
    closed = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client closes
        writer.close()
        closed.set()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError) as raised:
            await create_conn("127.0.0.1", port, request_timeout_ms=10 * REQUEST_TIMEOUT_MS)
        await closed.wait()
    assert is_transient(raised.value)
    assert LOGINS.take_failure()


@pytest.mark.parametrize(("silent_s", "comes"), [(CONNECT_S - 1, True), (CONNECT_S + 1, False)])
def test_the_time_of_a_connection_begins_when_its_name_is_known(
    monkeypatch: pytest.MonkeyPatch, silent_s: float, comes: bool
) -> None:
    class Connection:
        host, port, _sasl_plain_password = "kafka.example.com", 9092, None

    async def look_up(*_: Any, **_options: Any) -> list[Any]:
        await asyncio.sleep(CONNECT_S)
        return []

    async def connect(self: Any) -> str:
        await asyncio.get_running_loop().getaddrinfo(self.host, self.port)
        await asyncio.sleep(silent_s)
        return "connected"

    async def play() -> str:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        return str(await logins._connect_as_now(Connection()))

    monkeypatch.setattr(logins, "_connect", connect)
    if comes:
        assert run_virtually(play()) == "connected"
    else:
        with pytest.raises(TimeoutError):
            run_virtually(play())


def test_it_is_given_up_before_a_request_would_be() -> None:
    assert CONNECT_S * 1000 < REQUEST_TIMEOUT_MS
