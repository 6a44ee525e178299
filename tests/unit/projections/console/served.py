"""A server with the bounds of the console, an app for them, and clients that do as they are told."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from projections.console.connections import bounded_protocol
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
