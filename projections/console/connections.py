"""Connections of the console's port: those that do not get on are bounded in number and in time.

uvicorn waits without end for a request that never comes or never becomes whole, and for a client that does not read its
answer. Each such connection holds a file, until the process has none left, not even for Postgres. As on the port of
/healthz, the oldest of too many is cut off and not the newest turned away.
"""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

# Browsers open connections before they need them, a proxy keeps some, and after a restart all live pages come at once
# (`console_pages`). Where a process has 1,024 files and no more, a quarter of them may wait.
MOST_WAITING: Final = 2_048
SHARE_WAITING: Final = 4
FILES: Final = 8_192
REQUEST_TIMEOUT_S: Final = 10
READER_TIMEOUT_S: Final = 60
LOOKS: Final = 8  # at what is left to read, within the time of a reader


def raise_file_limit(wanted: int = FILES) -> None:
    """As many files for this process as it may have itself, up to `wanted`: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_waiting() -> int:
    """By the files that the process may have now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_WAITING if soft == resource.RLIM_INFINITY else min(MOST_WAITING, soft // SHARE_WAITING)


def bounded_protocol(
    most: int | None = None, request_s: float = REQUEST_TIMEOUT_S, reader_s: float = READER_TIMEOUT_S
) -> type[H11Protocol]:
    """The protocol of one server. At most `most` of its connections wait for their client at a time, by default
    `most_waiting`.

    They wait at most `request_s` for the head of a request and as long again for its body, and `reader_s` for a client
    that has stopped to read; one that reads, however slowly, gets all of its answer (a large one: within `READ_S` of
    `large.py`). A live page that reads is none of them (`console_pages` bounds those).
    """

    class Bounded(H11Protocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._waits_for: str | None = None
            self._timer: asyncio.TimerHandle | None = None
            self._is_unread = False  # whether anything of an answer waits for its reader
            self._unread = 0  # bytes of it, when they were looked at last
            self._read_at = 0.0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # So that `pause_writing` and `resume_writing` say of every byte whether it waits.
            transport.set_write_buffer_limits(0)
            self._follow()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._follow()

        def on_response_complete(self) -> None:
            super().on_response_complete()  # may find that the next request is here already
            self._follow()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._is_unread = True
            self._follow()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._is_unread = False
            self._follow()

        def _follow(self) -> None:
            # An answer that was handed over whole may still be read for minutes.
            if self._is_unread:
                self._wait("reader", reader_s / LOOKS)
            elif self.cycle is None or self.cycle.response_complete:
                self._wait("request", request_s)
            elif self.cycle.more_body:
                self._wait("body", request_s)
            else:
                self._wait(None)

        def _wait(self, what: str | None, limit_s: float = 0) -> None:
            """None: it is our turn. The time runs on where the same is waited for, whatever came meanwhile."""
            if what == self._waits_for:
                return
            self._waits_for = what
            waiting.pop(self, None)
            if self._timer is not None:
                self._timer.cancel()
            if what is None:
                return
            if what == "reader":
                self._unread, self._read_at = self.transport.get_write_buffer_size(), self.loop.time()
            self._timer = self.loop.call_later(limit_s, self._look if what == "reader" else self._cut_off)
            waiting[self] = None
            if len(waiting) > (most_waiting() if most is None else most):
                next(iter(waiting))._cut_off()

        def _look(self) -> None:
            """The time of a reader begins anew when some of what was left has been read."""
            before, self._unread = self._unread, self.transport.get_write_buffer_size()
            now = self.loop.time()
            if self._unread < before:
                self._read_at = now
                waiting[self] = waiting.pop(self, None)  # the newest again
            elif now - self._read_at >= reader_s:
                self._cut_off()
                return
            self._timer = self.loop.call_later(reader_s / LOOKS, self._look)

        def _cut_off(self) -> None:
            waiting.pop(self, None)
            self.transport.abort()  # `close` would wait for a client that does not read

    waiting: dict[Bounded, None] = {}  # the oldest first
    return Bounded
