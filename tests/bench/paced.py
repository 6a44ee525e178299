"""A steady load: a process that makes its events beforehand and then sends them evenly, as many producers do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple

from tests.bench.load import Sink
from tests.bench.workload import Expected, Generator, Workload

TICK_S = 0.005
LINGER_MS = 25  # of the load alone: what one process sends stands for many producers, without a request for each event
BUILD_TIMEOUT_S = 300
END_TIMEOUT_S = 120


class Sent(NamedTuple):
    """What was sent, how long it took, and by how much the sender was ever behind its own plan."""

    expected: Expected
    seconds: float
    late_s: float


@dataclass(slots=True)
class PacedLoad:
    pipe: Connection

    def start(self) -> None:
        self.pipe.send(True)

    def finish(self) -> Sent:
        if not self.pipe.poll(END_TIMEOUT_S):
            raise TimeoutError("the load did not end")
        sent: Sent = self.pipe.recv()
        return sent


@contextmanager
def prepare_load(bootstrap: str, topic: str, workload: Workload, per_s: float) -> Iterator[PacedLoad]:
    """Yield once the events are made; `start` sends them."""
    with prepared(send_paced, bootstrap, topic, workload, per_s) as pipe:
        yield PacedLoad(pipe)


@contextmanager
def prepared(send: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process that makes its events, says so, and then does what it is told through the pipe."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=send, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        if not ours.poll(BUILD_TIMEOUT_S):
            raise TimeoutError("the events of the load were not made in time")
        ours.recv()
        yield ours
    finally:
        process.terminate()
        process.join()


def send_paced(pipe: Connection, bootstrap: str, topic: str, workload: Workload, per_s: float) -> None:
    generator = Generator(workload)
    messages = [message for chunk in generator.chunks() for message in chunk]
    sink = Sink(bootstrap, topic, **{"linger.ms": LINGER_MS})
    pipe.send(True)
    pipe.recv()
    started, late, sent = time.perf_counter(), 0.0, 0
    while sent < len(messages):
        elapsed = time.perf_counter() - started
        late = max(late, elapsed - sent / per_s)
        due = min(int(elapsed * per_s) + 1, len(messages))
        for key, value in messages[sent:due]:
            sink.send(key, value)
        sent = due
        sink.serve()
        time.sleep(TICK_S)
    seconds = time.perf_counter() - started
    sink.flush()
    pipe.send(Sent(generator.expected, seconds, late))
