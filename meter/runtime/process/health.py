"""What a process knows of its own state, and the HTTP server that shows it: /healthz, /readyz, /metrics."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import structlog

from meter.runtime.errors import RefusalError
from meter.runtime.process.metrics import Metrics, begin
from meter.runtime.tracing import NO_TRACES, Traces

log = structlog.get_logger(component="health")

REQUEST_TIMEOUT_S = 5
# Those who ask are few: an orchestrator, a collector, a person. More than this are a fault or an attack, and must take
# neither our file descriptors nor the orchestrator's turn.
MOST_CONNECTIONS = 64
CONTENT_JSON = "application/json"
CONTENT_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Work:
    """One kind of work, for the watchdog: while something waits, it must make progress."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.waiting = waiting
        self.progress = 0
        self.idle_s = 0.0
        self._stalled_s = 0.0  # of it, while nothing was seen through
        self._seen = 0

    def tick(self, elapsed_s: float, *, excused: bool = False) -> float:
        """Add the time that has passed. Returns for how many seconds work has waited without progress, but for those
        that were excused."""
        if self.progress != self._seen or self.waiting() <= 0:
            self._seen, self.idle_s, self._stalled_s = self.progress, 0.0, 0.0
        else:
            self.idle_s += elapsed_s
            self._stalled_s += 0.0 if excused else elapsed_s
        return self._stalled_s


class Excuse:
    """Counts from its second tick on: under load something is under way at any moment, which excuses nobody else."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._passed_s = 0.0

    def tick(self, elapsed_s: float) -> bool:
        before_s = self._passed_s
        self._passed_s += elapsed_s
        return 0 < before_s < self._limit_s


class Health:
    """Readiness by dependency, and progress by kind of work.

    A dependency is ready when the service has opened it (`set_ready`) and its probe does not report that it is silent
    (`set_reachable`). A fault is what keeps a part of the work from going on while everything is connected
    (`set_fault`); while there is one the service is not ready, and the report says why.
    """

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.traces: Traces = NO_TRACES
        self.metrics.faults.set_function(lambda: len(self._faults))
        self._ready: dict[str, bool] = {}
        self._reachable: dict[str, bool] = {}
        self._details: dict[str, dict[str, str | None]] = {}  # what probes found
        self._causes: dict[str, str] = {}  # why the service has not opened it, or lost it
        self._work: dict[str, Work] = {}
        self._faults: dict[str, str] = {}
        self._excuses: set[Excuse] = set()
        self.progress_marks = 0

    def expect(self, dependency: str) -> None:
        """It is needed, and a probe asks it: not ready before it has answered once."""
        self._reachable[dependency] = False
        self._details[dependency] = {"detail": "has not answered yet", "host": None}
        self.set_ready(dependency, False)
        begin(self.metrics.reconnects, [dependency])

    def set_ready(self, dependency: str, ready: bool, *, detail: str | None = None) -> None:
        """`detail`: why it is not, as far as the service itself has seen; what a probe finds goes before it."""
        self._ready[dependency] = ready
        self._causes.pop(dependency, None)
        if detail is not None:
            self._causes[dependency] = detail
        self._note(dependency)

    def set_reachable(
        self, dependency: str, reachable: bool, *, detail: str | None = None, where: str | None = None
    ) -> None:
        """What the probe found: why it is not reachable, and on which of several hosts it is.

        It does not change whether the service has opened the dependency.
        """
        self._reachable[dependency] = reachable
        self._details[dependency] = {"detail": detail, "host": where}
        if dependency in self._ready:
            self._note(dependency)

    def set_fault(self, part: str, reason: str | None) -> None:
        """None: the part works again."""
        if reason is None:
            self._faults.pop(part, None)
        else:
            self._faults[part] = reason

    def _note(self, dependency: str) -> None:
        self.metrics.ready.labels(dependency).set(self.dependencies[dependency])

    @property
    def dependencies(self) -> dict[str, bool]:
        return {name: ready and self._reachable.get(name, True) for name, ready in self._ready.items()}

    def set_opened(self) -> None:
        """The service has opened everything it needs, so each dependency that was lost is there again."""
        for dependency in list(self._ready) or ["service"]:
            self.set_ready(dependency, True)

    def watch(self, work: str, waiting: Callable[[], int]) -> None:
        """Have the watchdog watch this work: `waiting()` > 0 without `mark_progress(work)` for `stall_s` is a stall."""
        watched = self._work[work] = Work(waiting)
        self.metrics.waiting.labels(work).set_function(waiting)
        self.metrics.idle_seconds.labels(work).set_function(lambda: watched.idle_s)

    def mark_progress(self, work: str = "main") -> None:
        """Something was stored, published or sent."""
        self.progress_marks += 1
        if work in self._work:
            self._work[work].progress += 1

    @contextmanager
    def seen_through(self, limit_s: float) -> Iterator[None]:
        """Inside, time counts as no stall, for up to `limit_s`: what is under way must not be cut off."""
        excuse = Excuse(limit_s)
        self._excuses.add(excuse)
        try:
            yield
        finally:
            self._excuses.remove(excuse)

    def forget_work(self) -> None:
        """Watch nothing between two attempts: a lost dependency is not a stall, and faults are found anew."""
        self._faults.clear()
        for name in self._work:
            self.metrics.waiting.remove(name)
            self.metrics.idle_seconds.remove(name)
        self._work.clear()

    def find_stalled(self, elapsed_s: float, stall_s: float, *, excused: bool = False) -> list[str]:
        """`excused`: the time that has passed is no stall."""
        excuses = [excuse.tick(elapsed_s) for excuse in self._excuses]
        excused = excused or any(excuses)
        return [name for name, work in self._work.items() if work.tick(elapsed_s, excused=excused) >= stall_s]

    @property
    def ready(self) -> bool:
        return bool(self._ready) and all(self.dependencies.values()) and not self._faults

    def _report_details(self) -> dict[str, dict[str, str]]:
        """What is known beyond yes and no, where anything is."""
        known = {name: {"detail": cause} for name, cause in self._causes.items()}
        for name, found in self._details.items():
            known[name] = known.get(name, {}) | {key: value for key, value in found.items() if value is not None}
        return {name: detail for name, detail in known.items() if detail}

    def report(self) -> dict[str, object]:
        return {
            "ready": self.ready,
            "dependencies": self.dependencies,
            "details": self._report_details(),
            "faults": dict(self._faults),
            "waiting": {name: work.waiting() for name, work in self._work.items()},
        }


class HealthServer:
    """Answers GET requests, one per connection. With port 0 the system chooses; `port` is then the chosen one.

    Of more than MOST_CONNECTIONS the oldest is cut off and not the newest turned away: who holds connections open
    without asking does not keep an orchestrator from asking, which would start the process anew.
    """

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._health = health
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}  # the oldest first
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return self._port

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=8192)
        except OSError as error:
            # Not a lost dependency, which it would be taken for.
            raise RefusalError(
                f"the port for health and metrics cannot be opened: {self._host}:{self._port}: "
                f"{error.strerror or error}. "
                "Set METERING_HTTP_HOST to an address of this machine and METERING_HTTP_PORT to a free port"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        log.info("health_served", host=self._host, port=self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whoever holds a connection open does not delay the end, and none is left for the event loop to cancel."""
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.transport.abort()
            if self._serving:
                await asyncio.wait(set(self._serving))
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = None
        if len(self._open) > MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = self._answer_or_fail(head.split(b"\r\n", 1)[0].decode("latin-1"))
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    "Connection: close\r\n\r\n".encode()
                    + body
                )
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            pass  # the client went away, or sent something else than HTTP
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()  # where `close` still waits for a client that does not read

    def _answer_or_fail(self, line: str) -> tuple[str, str, bytes]:
        """A bug in one metric is no reason to hang up without a word."""
        try:
            return self._answer(line)
        except Exception:
            log.exception("health_answer_failed")
            return "500 Internal Server Error", CONTENT_JSON, b"{}"

    def _answer(self, line: str) -> tuple[str, str, bytes]:
        method, _, rest = line.partition(" ")
        path = rest.split(" ", 1)[0].split("?", 1)[0]
        if method != "GET":
            return "405 Method Not Allowed", CONTENT_JSON, b"{}"
        if path == "/healthz":
            return "200 OK", CONTENT_JSON, b'{"alive":true}'
        if path == "/readyz":
            status = "200 OK" if self._health.ready else "503 Service Unavailable"
            return status, CONTENT_JSON, json.dumps(self._health.report()).encode()
        if path == "/metrics":
            return "200 OK", CONTENT_METRICS, self._health.metrics.render()
        return "404 Not Found", CONTENT_JSON, b"{}"
