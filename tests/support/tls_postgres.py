"""Postgres' TLS in front of a server that is there: the embedded one has none."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from meter.runtime.settings import Settings

CHUNK = 65_536
SSL_REQUEST = struct.pack(">ii", 8, 80877103)


class TlsFront:
    """`context` counts from the next connection on; None speaks no TLS."""

    def __init__(self, dsn: str, context: ssl.SSLContext | None) -> None:
        self._parts = urlsplit(dsn)
        self._writers: set[asyncio.StreamWriter] = set()
        self.context = context
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == SSL_REQUEST
        writer.write(b"N" if self.context is None else b"S")
        await writer.drain()
        if self.context is not None:
            wire = Wire(reader, writer, self.context)
            await wire.shake_hands()
            await join(wire, self._parts.hostname or "", self._parts.port or 5432)

    def end_connections(self) -> None:
        """Those that stand, so that each is made anew."""
        for writer in self._writers:
            writer.transport.abort()

    def address(self, cafile: str | None, **parameters: str) -> str:
        """The settings' address of the database, over TLS."""
        more = "&".join(f"{name}={value}" for name, value in parameters.items())
        return Settings(
            postgres_dsn=f"postgresql://{self._parts.username}@localhost:{self.port}{self._parts.path}?{more}",
            postgres_ssl_cafile=cafile,
        ).postgres_dsn


class Wire:
    """The server's end. asyncio's own closes without the alert that tells a client why its certificate is refused."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._take()
            except ssl.SSLError:
                await self._flush()  # the alert
                raise
            else:
                return await self._flush()

    async def read(self) -> bytes:
        """Nothing at the end."""
        while True:
            try:
                return self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                await self._take()

    async def write(self, data: bytes) -> None:
        self._tls.write(data)
        await self._flush()

    async def _take(self) -> None:
        data = await self._reader.read(CHUNK)
        if not data:
            raise ConnectionResetError
        self._incoming.write(data)

    async def _flush(self) -> None:
        self._writer.write(self._outgoing.read())
        await self._writer.drain()


async def join(wire: Wire, host: str, port: int) -> None:
    """Until either end closes."""
    reader, writer = await asyncio.open_connection(host, port)

    async def forth() -> None:
        while data := await wire.read():
            writer.write(data)
            await writer.drain()

    async def back() -> None:
        while data := await reader.read(CHUNK):
            await wire.write(data)

    both = [asyncio.ensure_future(way()) for way in (forth, back)]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in both:
            way.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        writer.close()


@contextlib.asynccontextmanager
async def postgres_with(context: ssl.SSLContext | None, dsn: str) -> AsyncIterator[TlsFront]:
    front = TlsFront(dsn, context)
    server = await asyncio.start_server(front.accept, "127.0.0.1", 0)
    async with server:
        front.port = server.sockets[0].getsockname()[1]
        try:
            yield front
        finally:
            front.end_connections()
