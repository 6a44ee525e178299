"""A mail server that does as it is told at each step of a conversation: answers, breaks off, or says nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

DROP: Final = "drop"  # the connection breaks
HANG: Final = "hang"  # no answer, ever
LATE: Final = "250 at last"  # once `release` is set
GOOD: Final = {
    "greeting": "220 ready",
    "ehlo": "250 sink.example.com",
    "starttls": "220 go ahead",
    "auth": "235 welcome",
    "mail": "250 sender ok",
    "rcpt": "250 recipient ok",
    "data": "354 go on",
    "dot": "250 accepted",
    "rset": "250 clean",
    "quit": "221 bye",
}


@dataclass
class Script:
    """`replies` per phase, or phase and address (of AUTH: what follows): a list is used up one by one, its last entry
    stays. `seen` are the commands in order."""

    replies: dict[str, list[str]] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    during_body: str | None = None  # said while the body is on its way
    letters_each: int | None = None  # a connection takes so many, then `farewell` is the answer to MAIL
    farewell: str = DROP
    most_open: int | None = None  # further connections are greeted with 421
    letter_s: float = 0.0  # until the reply to the dot
    byte_s: float | None = None  # between the bytes of a reply
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # those that reached their final dot
    connections: int = 0
    open: int = 0  # now
    widest: int = 0  # the most there were at one time, without those turned away
    port: int = 0
    dot_seen: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(self, phase: str, arguments: str = "") -> str:
        for key in (f"{phase} {arguments}", phase):
            if key in self.replies:
                found = self.replies[key]
                return found.pop(0) if len(found) > 1 else found[0]
        return GOOD[phase]

    def commands(self, *names: str) -> list[str]:
        return [line for line in self.seen if line.split(" ")[0].rstrip(":").lower() in names]


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Script]:
    """Listen on a free port until the block ends; `tls` from the first byte on."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        script.connections += 1
        script.open += 1
        try:
            await Conversation(script, reader, writer).run()
        except (OSError, EOFError):
            pass
        finally:
            script.open -= 1
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class Conversation:
    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._script = script
        self._reader = reader
        self._writer = writer
        self._taken = 0

    async def run(self) -> None:
        script = self._script
        if script.most_open is not None and script.open > script.most_open:
            await self._say("421 4.7.0 too many connections")
            return
        script.widest = max(script.widest, script.open)
        if not await self._say(script.reply("greeting")):
            return
        while line := (await self._reader.readuntil(b"\r\n")).decode().strip():
            self._script.seen.append(line)
            if not await self._answer(line):
                return

    async def _answer(self, line: str) -> bool:
        """Whether the conversation goes on."""
        name, _, rest = line.partition(" ")
        phase = name.lower()
        address = rest.partition("<")[2].partition(">")[0]
        reply = self._script.reply(phase, rest if phase == "auth" else address)
        if phase == "mail" and self._taken == self._script.letters_each:
            reply = self._script.farewell
        if phase == "ehlo" and reply == GOOD["ehlo"]:
            names = ["sink.example.com", *self._script.extensions]
            reply = "\r\n".join(f"250{'-' if name != names[-1] else ' '}{name}" for name in names)
        if not await self._say(reply):
            return False
        if phase == "starttls" and reply.startswith("220") and self._script.tls is not None:
            await self._writer.start_tls(self._script.tls)
            self._script.extensions = tuple(name for name in self._script.extensions if name != "STARTTLS")
        if phase == "data" and reply.startswith("354"):
            return await self._take_body()
        return phase != "quit"

    async def _take_body(self) -> bool:
        if self._script.during_body is not None:
            await self._reader.readuntil(b"\r\n")
            return await self._say(self._script.during_body)
        body = await self._reader.readuntil(b"\r\n.\r\n")
        self._script.bodies.append(body.removesuffix(b".\r\n"))
        self._script.dot_seen.set()
        self._taken += 1
        if self._script.letter_s:
            await asyncio.sleep(self._script.letter_s)
        return await self._say(self._script.reply("dot"))

    async def _say(self, reply: str) -> bool:
        if reply == HANG:
            await asyncio.Event().wait()
        if reply == LATE:
            await self._script.release.wait()
        if reply == DROP:
            return False
        await self._write(reply.encode() + b"\r\n")
        return not reply.startswith("421")

    async def _write(self, data: bytes) -> None:
        size = len(data) if self._script.byte_s is None else 1
        for start in range(0, len(data), size):
            self._writer.write(data[start : start + size])
            await self._writer.drain()
            if self._script.byte_s is not None:
                await asyncio.sleep(self._script.byte_s)
