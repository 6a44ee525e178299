"""A TCP proxy between a service and a server that cuts, resets, silences, refuses, and swallows the reply to COMMIT."""

import asyncio
import contextlib
import socket
import struct
from typing import cast

from deploy.local.ports import free_port

HOST = "127.0.0.1"
CHUNK = 65_536
COMMITS = (b"COMMIT\x00", b"COMMIT;\x00")  # the end of a simple query: `write_transaction`'s, and asyncpg's own
WRITES = (b"INSERT INTO", b"UPDATE ", b"DELETE FROM")
PARSE, BIND = b"P", b"B"  # how asyncpg's messages begin that prepare a statement, and that run it
READY = b"Z\x00\x00\x00\x05"  # the end of each of the server's replies, before the letter
OUTSIDE = b"I"  # that says no transaction is open
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.swallow = False  # the server's next reply is that of a COMMIT, and nobody shall see it
        self._outside = True  # of any transaction
        self._writing: set[bytes] = set()  # names of prepared statements that write

    def commits(self, chunk: bytes) -> bool:
        """Whether what the service says here ends a transaction: COMMIT, or a statement that writes outside of one."""
        if chunk.startswith(PARSE):
            name, _, statement = chunk[5:].partition(b"\x00")
            if any(word in statement for word in WRITES):
                self._writing.add(name)
        if chunk.startswith(BIND):
            _portal, _, rest = chunk[5:].partition(b"\x00")
            return self._outside and rest.partition(b"\x00")[0] in self._writing
        return chunk.endswith(COMMITS)

    def has_committed(self, chunk: bytes) -> bool:
        """Whether the server's reply ends here, and with it the transaction."""
        if chunk[-6:-1] == READY:
            self._outside = chunk.endswith(OUTSIDE)
            return self._outside
        return False

    def close(self) -> None:
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    def reset(self) -> None:
        for writer in (self.client, self.server):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class Proxy:
    """Listens on a port of its own for one server. The faults are methods; each tells how many connections it met."""

    def __init__(self, name: str, target_port: int, port: int | None = None) -> None:
        self.name = name
        self.port = port or free_port(HOST)
        self.swallowed = 0  # COMMITs whose reply was dropped, or that never reached the server
        self._target_port = target_port
        self._links: set[Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._commits_to_swallow = 0
        self._commits_to_lose = 0
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        for task in self._pumps:
            task.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)
        if self._serving:  # the nodes of a cluster are connected to each other to the end
            await asyncio.wait(self._serving)

    # --- faults -----------------------------------------------------------------------------------------------------

    def cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.close()
        return len(links)

    def reset(self) -> int:
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def hold(self) -> int:
        """A black hole: connections stay open, and nothing passes."""
        self._flowing.clear()
        return len(self._links)

    def release(self) -> None:
        self._flowing.set()

    def refuse(self, on: bool) -> None:
        self._refusing = on

    def swallow_commits(self, count: int) -> None:
        """The next COMMITs succeed, and the service never learns it."""
        self._commits_to_swallow = count

    def lose_commits(self, count: int) -> None:
        """The next COMMITs never reach the server, and the service cannot tell."""
        self._commits_to_lose = count

    def calm(self) -> None:
        """No fault from here on."""
        self.release()
        self.refuse(False)
        self._commits_to_swallow = self._commits_to_lose = 0

    # --- connections ------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            await self._flowing.wait()
            server_reader, server = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        link, serving = Link(writer, server), cast("asyncio.Task[None]", asyncio.current_task())
        self._links.add(link)
        self._serving.add(serving)
        pumps = [
            asyncio.create_task(self._pump(reader, server, link, upwards=True)),
            asyncio.create_task(self._pump(server_reader, writer, link, upwards=False)),
        ]
        self._pumps.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            self._pumps.difference_update(pumps)
            self._links.discard(link)
            self._serving.discard(serving)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link, *, upwards: bool
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while chunk := await reader.read(CHUNK):
                await self._flowing.wait()
                if upwards and link.commits(chunk) and self._loses(link):
                    return
                if not upwards and link.has_committed(chunk) and link.swallow:
                    self.swallowed += 1
                    link.reset()
                    return
                writer.write(chunk)
                await writer.drain()

    def _loses(self, link: Link) -> bool:
        """A COMMIT passes: is it, or its reply, to get lost?"""
        if self._commits_to_lose > 0:
            self._commits_to_lose -= 1
            self.swallowed += 1
            link.reset()
            return True
        if self._commits_to_swallow > 0:
            self._commits_to_swallow -= 1
            link.swallow = True
        return False
