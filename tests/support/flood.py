"""Very many connections to one port that keep it waiting, held by one client that comes back when it is cut off."""

import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

HOST = "127.0.0.1"
CONNECTIONS: Final = 2_000
FILES: Final = CONNECTIONS + 500  # this process needs some of its own
CONNECT_TIMEOUT_S = 30
ROUND_S = 0.2
HALF = b"GET /healthz HTTP/1.1\r\nHost: credits.example.com\r\nX-Filler: "
# Of a body that never comes to its end, and of a head that does not either: more than uvicorn takes.
LARGE: Final = 60_000
ASK_POST = b"POST /session HTTP/1.1\r\nHost: credits.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n"
POST = ASK_POST + b"Content-Length: 9000\r\n\r\ntoken="
CHUNKED = ASK_POST + b"Transfer-Encoding: chunked\r\n\r\n"
RECEIVED_BYTES = 2_048  # what a client that does not read lets the system take for it


class Kind(NamedTuple):
    first: bytes = b""  # sent at once
    drip: bytes = b""  # then a byte of this in each round, its last for ever
    reads: bool = True


KINDS: Final = {
    "idle": Kind(),
    "half": Kind(HALF),
    "drip": Kind(drip=HALF + b"x"),
    "deaf": Kind(drip=b"x", reads=False),
    "body": Kind(POST, drip=b"x"),
    "chunks": Kind(CHUNKED, drip=b"1\r\nx\r\n" * 10_000),
    "heads": Kind(HALF + b"x" * LARGE),
}


class Flood:
    """`opened` counts every connection that was made, `cut` those that the server ended."""

    def __init__(self, port: int, kind: Kind) -> None:
        self._address = (HOST, port)
        self._kind = kind
        self._selector = selectors.DefaultSelector()
        self._sent: dict[socket.socket, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood")
        self.opened = self.cut = 0
        self.fault: OSError | None = None

    def start(self) -> None:
        """Raises ValueError where this machine allows a process fewer files than that."""
        allow_files()
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for one in list(self._sent):
            self._drop(one)
        self._selector.close()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._fill()
                self._trickle()
                deadline = time.monotonic() + ROUND_S
                while (left_s := deadline - time.monotonic()) > 0 and not self._over.is_set():
                    self._look(left_s)
        except OSError as error:
            self.fault = error

    def _fill(self) -> None:
        while len(self._sent) < CONNECTIONS and not self._over.is_set():
            one = self._connect()
            self._sent[one] = 0
            self.opened += 1
            if self._kind.reads:
                self._selector.register(one, selectors.EVENT_READ)
            if self._kind.first:
                self._send(one, self._kind.first)

    def _connect(self) -> socket.socket:
        one = socket.socket()
        if not self._kind.reads:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
        one.settimeout(CONNECT_TIMEOUT_S)
        one.connect(self._address)
        one.setblocking(False)
        return one

    def _trickle(self) -> None:
        if not self._kind.drip:
            return
        for one, sent in list(self._sent.items()):
            if self._send(one, self._kind.drip[sent : sent + 1] or self._kind.drip[-1:]):
                self._sent[one] = sent + 1

    def _send(self, one: socket.socket, data: bytes) -> bool:
        try:
            one.send(data)
        except BlockingIOError:
            return False
        except OSError:
            self._cut_off(one)
            return False
        return True

    def _look(self, left_s: float) -> None:
        for key, _ in self._selector.select(left_s):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            try:
                ended = one.recv(65_536) == b""
            except OSError:
                ended = True
            if ended:
                self._cut_off(one)

    def _cut_off(self, one: socket.socket) -> None:
        self.cut += 1
        self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        if self._kind.reads:
            self._selector.unregister(one)
        del self._sent[one]
        one.close()


def allow_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


@contextmanager
def flooding(port: int, kind: Kind) -> Iterator[Flood]:
    flood = Flood(port, kind)
    flood.start()
    try:
        yield flood
    finally:
        flood.close()
    assert flood.fault is None, flood.fault
