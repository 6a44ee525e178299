"""The proxy of the campaign: which COMMITs it loses or swallows, and what waits while it is silent."""

import asyncio

import pytest

from tests.faults.proxy import HOST, OUTSIDE, READY, Proxy

DONE = b"C\x00\x00\x00\x0bCOMMIT\x00" + READY + OUTSIDE
WITHIN = READY + b"T"
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
OF_ASYNCPG = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
PARSE_WRITE = b"P\x00\x00\x00\x30stmt_1\x00-- a comment\nUPDATE notifier.emails SET\x00\x00\x00"
PARSE_READ = b"P\x00\x00\x00\x20stmt_1\x00SELECT next_offset\x00\x00\x00"
BIND = b"B\x00\x00\x00\x20\x00stmt_1\x00\x00\x01\x00\x01"


class Backend:
    """Answers as Postgres does where no transaction is open, and keeps what it got."""

    def __init__(self, answer: bytes = DONE) -> None:
        self.got = b""
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1000):
            self.got += chunk
            writer.write(self._answer)
        writer.close()


async def ask(proxy: Proxy, *asked: bytes) -> bytes:
    """The last reply through the proxy; empty where the connection broke."""
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        reply = b""
        for request in asked:
            writer.write(request)
            async with asyncio.timeout(5):
                reply = await reader.read(1000)
    except ConnectionError:
        return b""
    else:
        return reply
    finally:
        writer.close()


@pytest.mark.parametrize(
    "asked",
    [(COMMIT,), (OF_ASYNCPG,), (PARSE_WRITE, BIND)],
    ids=["of a write transaction", "of the driver", "of a statement alone"],
)
async def test_a_commit_whose_reply_is_swallowed_has_happened_and_one_that_is_lost_has_not(
    asked: tuple[bytes, ...],
) -> None:
    backend = Backend()
    server = await asyncio.start_server(backend.serve, HOST, 0)
    proxy = Proxy("test", server.sockets[0].getsockname()[1])
    await proxy.start()
    try:
        assert await ask(proxy, *asked) == DONE
        proxy.swallow_commits(1)
        assert await ask(proxy, *asked) == b"" and backend.got == 2 * b"".join(asked)
        proxy.lose_commits(1)
        assert await ask(proxy, *asked) == b"" and backend.got == 2 * b"".join(asked) + b"".join(asked[:-1])
        assert await ask(proxy, *asked) == DONE
        assert proxy.swallowed == 2
        proxy.refuse(True)
        assert await ask(proxy, *asked) == b""
    finally:
        await proxy.close()
        server.close()


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (WITHIN, (PARSE_WRITE, BIND)),
        (DONE, (PARSE_READ, BIND)),
        (DONE, (b"Produce", b"Body")),  # other servers have proxies as well, and what is long comes in pieces
    ],
    ids=["within a transaction", "that reads", "of another kind"],
)
async def test_a_statement_that_commits_nothing_is_let_through(answer: bytes, asked: tuple[bytes, ...]) -> None:
    server = await asyncio.start_server(Backend(answer).serve, HOST, 0)
    proxy = Proxy("test", server.sockets[0].getsockname()[1])
    await proxy.start()
    try:
        proxy.lose_commits(1)
        assert await ask(proxy, *asked) == answer
        assert proxy.swallowed == 0
    finally:
        await proxy.close()
        server.close()


async def test_what_waits_in_a_silent_proxy_is_lost_with_its_connection() -> None:
    backend = Backend()
    server = await asyncio.start_server(backend.serve, HOST, 0)
    proxy = Proxy("test", server.sockets[0].getsockname()[1])
    await proxy.start()
    try:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writer.write(b"before")
        await reader.read(1000)
        proxy.hold()
        writer.write(b"within")
        await writer.drain()
        writer.close()  # as the kernel does for a process that is killed
        proxy.reset()
        proxy.release()
        assert await ask(proxy, COMMIT) == DONE
        assert backend.got == b"before" + COMMIT
    finally:
        await proxy.close()
        server.close()
