"""Delivery of events to Kafka: a bounded buffer, one sender, retries that cannot double an event (ids are unique).

Nothing is dropped unseen. An event that is not delivered in time is logged and goes to `on_lost`; without that the next
`flush` or `stop` raises DeliveryError with it. A full buffer makes senders wait, and then raises BufferFullError.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

from meter.runtime.errors import DependencyUnreachableError, TransientError, explain
from meter.runtime.kafka import failures
from meter.runtime.kafka.producer import Landed, Message, Producer
from meter.runtime.settings import Settings
from meter.runtime.waiting import pauses

LINGER_S: Final = 0.005
MAX_SEND: Final = 2_000
MAX_PENDING: Final = 10_000  # events in the buffer, about 10 MB
DELIVERY_TIMEOUT_S: Final = 120.0  # from the moment an event is buffered
BLOCK_S: Final = 10.0  # the longest a sender waits for room in the buffer
MAX_KEPT: Final = 10_000  # lost events that are kept for the next flush where there is no `on_lost`
ABORT_S: Final = 5.0  # for what is buffered when the block of a producer ends by an exception
SHOWN: Final = 5  # ids in a message; the exception has all

log = logging.getLogger(__name__)


class Pending(NamedTuple):
    """An event in the buffer."""

    event_id: str
    message: Message
    deadline: float = 0.0  # by the loop's clock


class DeliveryError(Exception):
    """Events that did not reach Kafka within the delivery time; sending them again with the same ids is safe."""

    def __init__(self, events: Sequence[Pending], cause: BaseException, *, others: int = 0) -> None:
        """`others`: so many more were lost, whose ids were only logged."""
        count = len(events) + others
        ids = ", ".join(event.event_id for event in events[:SHOWN]) + (" …" if count > SHOWN else "")
        what = "1 event was" if count == 1 else f"{count} events were"
        super().__init__(f"{what} not delivered ({ids}): {explain(cause)}")
        self.events = tuple(events)

    @property
    def event_ids(self) -> tuple[str, ...]:
        return tuple(event.event_id for event in self.events)


class BufferFullError(Exception):
    """The event was not taken: Kafka has been away, or slower than the events, until the buffer was full."""


OnLost = Callable[[DeliveryError], None]


class Delivery:
    """Sends messages in order. `enqueue` returns once a message is buffered, waiting while the buffer is full."""

    def __init__(
        self,
        settings: Settings,
        *,
        client_id: str,
        max_pending: int = MAX_PENDING,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        block_s: float = BLOCK_S,
        connect: bool = True,
        on_lost: OnLost | None = None,
    ) -> None:
        self._settings = settings
        self._producer = Producer(settings, client_id=client_id)
        self._max_pending = max_pending
        self._delivery_timeout_s = delivery_timeout_s
        self._block_s = block_s
        self._connect = connect
        self._on_lost = on_lost
        self._waiting: list[Pending] = []
        self._sending: list[Pending] = []
        self._changed = asyncio.Condition()
        self._lost: list[Pending] = []
        self._others = 0
        self._cause: BaseException | None = None
        self._trouble: Exception | None = None  # of the last try
        self.landed: Landed | None = None  # where the newest event is that was delivered
        self._sender: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, if asked to. Raises DependencyUnreachableError."""
        if self._connect:
            await self._producer.start()
        self._sender = asyncio.create_task(self._send_forever(), name="delivery")

    async def stop(self, timeout_s: float | None = None) -> None:
        """Flush, then close. Raises DeliveryError when something could not be delivered."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.flush()
        except TimeoutError:
            await self._close()
            self._raise_lost()
        finally:
            await self._close()

    async def abort(self) -> None:
        """Close in a moment, under an exception that must not be covered up: what is lost is reported and logged."""
        with contextlib.suppress(DeliveryError):
            await self.stop(ABORT_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await (self.stop() if kind is None else self.abort())

    async def enqueue(self, event_id: str, message: Message) -> None:
        if self._sender is None:
            raise RuntimeError("the producer is not started: use it in `async with`")
        try:
            async with asyncio.timeout(self._block_s), self._changed:
                await self._changed.wait_for(lambda: self._pending < self._max_pending)
                deadline = asyncio.get_running_loop().time() + self._delivery_timeout_s
                self._waiting.append(Pending(event_id, message, deadline))
                self._changed.notify_all()
        except TimeoutError:
            why = f": {explain(self._trouble)}" if self._trouble else ""
            text = f"{self._max_pending} events wait for Kafka, and none left the buffer in {self._block_s:g} s{why}"
            raise BufferFullError(f"{text}; {event_id} was not taken") from self._trouble

    async def flush(self) -> None:
        """Wait until nothing is pending. Raises DeliveryError for what has failed since the last flush."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._pending == 0)
        self._raise_lost()

    @property
    def _pending(self) -> int:
        return len(self._waiting) + len(self._sending)

    def _raise_lost(self) -> None:
        lost, others, cause = self._lost, self._others, self._cause
        self._lost, self._others, self._cause = [], 0, None
        if lost and cause is not None:  # what is lost always has one
            raise DeliveryError(lost, cause, others=others) from cause

    async def _close(self) -> None:
        """End the sender and the connection; what is still buffered is lost, and reported as that."""
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
            self._sender = None
        left, self._sending, self._waiting = [*self._sending, *self._waiting], [], []
        self._report(left, self._closed_before())
        await self._producer.stop()

    def _closed_before(self) -> Exception:
        """Why what is buffered at the end is lost: names the brokers, and what came of the last try."""
        at = self._settings.kafka_bootstrap
        why = "no answer came in time" if self._trouble is None else explain(self._trouble)
        said = f"the producer was closed before kafka at {at} had them: {why}"
        return DependencyUnreachableError(said, dependency="kafka")

    async def _send_forever(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
            await asyncio.sleep(LINGER_S)  # let a burst gather into one request
            self._sending, self._waiting = self._waiting[:MAX_SEND], self._waiting[MAX_SEND:]
            while self._sending:
                lost, left, cause = await self._deliver_some()
                # Nothing is awaited between these two: who flushes meanwhile must not find that nothing is pending
                # before what is lost is known.
                self._report(lost, cause)
                self._sending = left
                async with self._changed:
                    self._changed.notify_all()

    async def _deliver_some(self) -> tuple[list[Pending], list[Pending], Exception | None]:
        """Try what is being sent, all at once. What is lost, what is to be tried again, and why; the rest is done.

        Where Kafka refuses for good (one is too large) they are tried one by one, so that only the culprit fails.
        """
        batch = self._sending
        cause = await self._deliver(batch)
        if cause is None:
            return [], [], None
        if may_pass(cause):
            now = asyncio.get_running_loop().time()
            over = [event for event in batch if event.deadline <= now]
            return over, [event for event in batch if event.deadline > now], cause
        lost = batch if len(batch) == 1 else [event for event in batch if await self._deliver([event])]
        return lost, [], cause if lost else None

    async def _deliver(self, batch: Sequence[Pending]) -> Exception | None:
        """Publish, again and again while the fault may pass and the oldest has time; None or the last error."""
        loop = asyncio.get_running_loop()
        for pause_s in pauses(self._settings.retry_first_s, self._settings.retry_max_s):
            try:
                [*_, self.landed] = await self._producer.publish([event.message for event in batch])
                self._trouble = None
                return None
            except Exception as error:
                self._trouble = error
                left_s = batch[0].deadline - loop.time()
                if not may_pass(error) or left_s <= 0:
                    return error
            await asyncio.sleep(min(pause_s, left_s))
        raise AssertionError("pauses never end")

    def _report(self, lost: Sequence[Pending], cause: Exception | None) -> None:
        """Tell of lost events, and keep them for the next flush where nobody is there to be told."""
        if not lost or cause is None:
            return
        error = DeliveryError(lost, cause)
        log.error("events_lost: %s", error)
        if self._on_lost is None:
            room = MAX_KEPT - len(self._lost)
            self._lost += lost[:room]
            self._others += len(lost[room:])
            self._cause = cause
            return
        try:
            self._on_lost(error)
        except Exception:
            log.exception("events_lost: on_lost failed for %s", ", ".join(error.event_ids))


def may_pass(error: BaseException) -> bool:
    return isinstance(error, TransientError) or failures.is_transient(error)
