"""The producer of the campaign: a thread that sends at a steady rate and does not give up on anything.

What is not acknowledged is sent again with the same id, so every sound event ends on its topic at least once, whatever
happens to the broker. librdkafka does the sending: another client than the services have.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

from confluent_kafka import Producer

from tests.faults.truth import ACCOUNTS, USAGE, Message
from tests.faults.world import World

CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
NUMBER = "number"  # header with the number of a sound event: how the oracle knows records without reading them
UNDER_WAY = 20_000
FLUSH_S = 120
OPTIONS = {
    # librdkafka's own default places keys differently from all other clients.
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "acks": "all",
    "linger.ms": 20,
    "message.timeout.ms": 20_000,
    "socket.timeout.ms": 10_000,
    "reconnect.backoff.max.ms": 500,
    "log_level": 0,
}


class Load:
    """Sends what a world makes. `pause` and `go_on` between rounds; `finish` waits until everything is acknowledged."""

    def __init__(self, bootstrap: str, prefix: str, world: World, per_s: float) -> None:
        self.world = world
        self.sent = 0
        self.retries = 0
        self.acked: dict[tuple[str, int], int] = {}  # next offset after the highest acknowledged one
        self._topics = {topic: prefix + topic for topic in (USAGE, ACCOUNTS)}
        self._per_s = per_s
        self._producer = Producer({"bootstrap.servers": bootstrap, "error_cb": lambda _: None} | OPTIONS)
        self._failed: deque[Message] = deque()
        self._under_way = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def open_accounts(self) -> None:
        """Send all openings and wait for their acknowledgements."""
        self._send_all(self.world.openings())
        self.finish()

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop making events; what was made arrives all the same."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.finish()

    def finish(self) -> None:
        deadline = time.monotonic() + FLUSH_S
        while self._under_way or self._failed:
            self._send_failed()
            self._producer.poll(0.05)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._under_way} records were not acknowledged within {FLUSH_S} s")

    def _run(self) -> None:
        started, made = time.monotonic(), 0
        while not self._stop.is_set():
            self._send_failed()
            due = int((time.monotonic() - started) * self._per_s) - made
            room = max(0, UNDER_WAY - self._under_way)
            count = min(due, room, 500)
            self._send_all(self.world.make() for _ in range(count))
            made += count
            if room == 0:
                started, made = time.monotonic(), 0  # the broker is away: go on at the usual pace, not in a burst
            self._producer.poll(0.01)
            self._stop.wait(0.01)

    def _send_all(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._send(message)

    def _send_failed(self) -> None:
        for _ in range(len(self._failed)):
            self.retries += 1
            self._send(self._failed.popleft())

    def _send(self, message: Message) -> None:
        headers = [CONTENT_TYPE]
        if message.number >= 0:
            headers.append((NUMBER, message.number.to_bytes(8)))
        while True:
            try:
                self._producer.produce(
                    self._topics[message.topic],
                    message.value,
                    message.key,
                    headers=headers,
                    on_delivery=partial(self._note, message),
                )
                break
            except BufferError:
                self._producer.poll(0.05)
        self.sent += 1
        self._under_way += 1

    def _note(self, message: Message, error: object, record: Any) -> None:
        """Called in `poll`, so always in the thread that sends."""
        self._under_way -= 1
        if error is not None:
            self._failed.append(message)
            return
        self.world.note_acknowledged(message)
        place = (message.topic, record.partition())
        self.acked[place] = max(self.acked.get(place, 0), record.offset() + 1)
