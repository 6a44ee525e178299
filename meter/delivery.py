"""Delivery of events to Kafka: a bounded buffer, one sender, retries that cannot double an event (ids are unique).

Nothing is dropped unseen. An event that is not delivered in time is logged and goes to `on_lost`; without that the next
`flush` or `stop` raises DeliveryError with it. A full buffer makes senders wait, and then raises BufferFullError.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Final, Self

from meter.runtime.errors import DependencyUnreachableError, TransientError, explain
from meter.runtime.kafka import failures
from meter.runtime.kafka.producer import HeldBackError, Landed, Message, Producer
from meter.runtime.settings import Settings
from meter.runtime.waiting import pauses
from meter.undelivered import BufferFullError, DeliveryError, Losses, NotRunningError, OnLost, Pending

LINGER_S: Final = 0.005
MAX_SEND: Final = 2_000
MAX_PENDING: Final = 10_000  # events in the buffer, about 10 MB
DELIVERY_TIMEOUT_S: Final = 120.0  # from the moment an event is buffered
BLOCK_S: Final = 10.0  # the longest a sender waits for room in the buffer
ABORT_S: Final = 5.0  # for what is buffered when the block of a producer ends by an exception

log = logging.getLogger(__name__)


def check_bounds(max_pending: int, delivery_timeout_s: float, block_s: float) -> None:
    """Raises ValueError for what would take no event, or deliver none."""
    if max_pending < 1:
        raise ValueError(f"max_pending={max_pending}: no event would fit into the buffer; it is 1 or more")
    if not delivery_timeout_s > 0:
        raise ValueError(f"delivery_timeout_s={delivery_timeout_s:g}: no event would have time; it is above 0")
    if not block_s >= 0:
        raise ValueError(f"block_s={block_s:g}: nobody can wait for that long; it is 0 or more")


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
        awaits_rights: bool = True,
    ) -> None:
        """`awaits_rights`: while Kafka refuses a login or a right an event is tried again for its time, as somebody
        may mend that without us; else it is lost at once."""
        check_bounds(max_pending, delivery_timeout_s, block_s)
        self._settings = settings
        self._producer = Producer(settings, client_id=client_id)
        self._max_pending = max_pending
        self._delivery_timeout_s = delivery_timeout_s
        self._block_s = block_s
        self._connect = connect
        self._losses = Losses(on_lost)
        self._awaits_rights = awaits_rights
        self._waiting: list[Pending] = []
        self._sending: list[Pending] = []
        self._taken = 0
        self._changed = asyncio.Condition()
        self._trouble: Exception | None = None  # of the last try
        self.landed: Landed | None = None  # where the newest event is that was delivered
        self._sends: asyncio.Task[None] | None = None
        self._ended = "is not started: use it in `async with`"  # why it takes no event; "" while it does

    async def start(self) -> None:
        """Connect, if asked to. Raises DependencyUnreachableError."""
        if self._connect:
            await self._producer.start()
        self._ended = ""
        self._sends = asyncio.create_task(self._send_until_it_fails(), name="delivery")

    async def stop(self, timeout_s: float | None = None) -> None:
        """Take nothing more, flush, and close. Raises DeliveryError when something could not be delivered."""
        if not self._ended:
            await self._end("is closed: make a new one")
        try:
            async with asyncio.timeout(timeout_s):
                await self._settle(self._taken)
        except TimeoutError:
            pass
        finally:
            await self._close()
        self._losses.raise_kept()

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
        """Raises BufferFullError, and NotRunningError also where the producer ends while this waits for room."""
        self._check_running(event_id)
        try:
            async with asyncio.timeout(self._block_s), self._changed:
                await self._changed.wait_for(lambda: self._ended or self._pending < self._max_pending)
                self._check_running(event_id)
                deadline = asyncio.get_running_loop().time() + self._delivery_timeout_s
                self._taken += 1
                self._waiting.append(Pending(event_id, message, deadline, self._taken))
                self._changed.notify_all()
        except TimeoutError:
            why = f": {explain(self._trouble)}" if self._trouble else ""
            text = f"{self._max_pending} events wait for Kafka, and none left the buffer in {self._block_s:g} s{why}"
            raise BufferFullError(f"{text}; {event_id} was not taken") from self._trouble

    async def flush(self) -> None:
        """Wait until each event is delivered or lost that was taken before this call, however many come meanwhile.

        Raises DeliveryError for what was lost since the last flush.
        """
        await self._settle(self._taken)
        self._losses.raise_kept()

    async def _settle(self, last: int) -> None:
        """Wait until nothing up to this number is pending."""

        def settled() -> bool:
            first = next(iter(self._sending or self._waiting), None)
            return first is None or first.number > last

        async with self._changed:
            await self._changed.wait_for(settled)

    def _check_running(self, event_id: str) -> None:
        if self._ended:
            raise NotRunningError(f"the producer {self._ended}; {event_id} was not taken")

    async def _end(self, why: str) -> None:
        """Take no more events, and wake who waits for room."""
        self._ended = why
        async with self._changed:
            self._changed.notify_all()

    @property
    def _pending(self) -> int:
        return len(self._waiting) + len(self._sending)

    async def _close(self) -> None:
        """End the sender and the connection; what is still buffered is lost, and reported as that."""
        if self._sends is not None:
            self._sends.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sends
            self._sends = None
        self._lose_all(self._closed_before())
        await self._producer.stop()

    def _lose_all(self, cause: Exception) -> None:
        left, self._sending, self._waiting = [*self._sending, *self._waiting], [], []
        self._losses.report(left, cause)

    def _closed_before(self) -> Exception:
        """Why what is buffered at the end is lost: names the brokers, and what came of the last try."""
        at = self._settings.kafka_bootstrap
        why = "no answer came in time" if self._trouble is None else explain(self._trouble)
        said = f"the producer was closed before kafka at {at} had them: {why}"
        return DependencyUnreachableError(said, dependency="kafka")

    async def _send_until_it_fails(self) -> None:
        """A bug, or a cancellation from within, must not leave an application waiting for ever."""
        try:
            await self._send_forever()
        except BaseException as error:
            if self._ended:
                raise
            log.exception("delivery_failed")
            failed = RuntimeError(f"the producer has failed: {explain(error)}")
            failed.__cause__ = error
            self._lose_all(failed)
            await self._end(f"has failed ({explain(error)}): close it, make a new one, and report this")
            if not isinstance(error, Exception):
                raise

    async def _send_forever(self) -> None:
        steps = self._fresh_pauses()
        while True:
            if not self._sending:
                async with self._changed:
                    await self._changed.wait_for(lambda: bool(self._waiting))
                await asyncio.sleep(LINGER_S)  # let a burst gather into one request
            # What was not delivered goes first, so order holds; what came meanwhile goes with it, so that one partition
            # that fails holds up no other.
            room = max(0, MAX_SEND - len(self._sending))
            self._sending, self._waiting = [*self._sending, *self._waiting[:room]], self._waiting[room:]
            results = await self._producer.publish_each([event.message for event in self._sending])
            lost, left, trouble = self._judge(results)
            # Nothing is awaited between these two: who flushes meanwhile must not find that nothing is pending before
            # what is lost is known.
            for cause, events in lost.items():
                self._losses.report(events, cause)
            self._sending, self._trouble = left, trouble
            if len(left) < len(results):
                async with self._changed:
                    self._changed.notify_all()
            if sum(map(len, lost.values())) + len(left) < len(results):
                steps = self._fresh_pauses()  # something landed
            if left and trouble is not None:
                first = min(event.deadline for event in left)
                await asyncio.sleep(max(0.0, min(next(steps), first - asyncio.get_running_loop().time())))

    def _judge(
        self, results: Sequence[Landed | Exception]
    ) -> tuple[dict[Exception, list[Pending]], list[Pending], Exception | None]:
        """What of `_sending` is lost, by its cause; what is to be tried again; the fault to wait out before that."""
        now = asyncio.get_running_loop().time()
        lost: dict[Exception, list[Pending]] = {}
        left: list[Pending] = []
        trouble: Exception | None = None
        told: dict[str, Exception] = {}
        for event, result in zip(self._sending, results, strict=True):
            if isinstance(result, Landed):
                self.landed = result
                continue
            behind = isinstance(result, HeldBackError)
            passes = self._may_pass(result.cause if isinstance(result, HeldBackError) else result)
            # The same words of several partitions are one loss.
            cause = told.setdefault(explain(result), self._say(result))
            if passes and not behind:
                trouble = cause
            # What stands behind one that is lost for good has had no try yet.
            if (passes and event.deadline > now) or (behind and not passes):
                left.append(event)
            else:
                lost.setdefault(cause, []).append(event)
        return lost, left, trouble

    def _may_pass(self, error: Exception) -> bool:
        return may_pass(error) or (self._awaits_rights and isinstance(error, failures.REFUSED))

    def _say(self, error: Exception) -> Exception:
        """Where Kafka refuses a right, the same with what to do."""
        address, user = self._settings.kafka_bootstrap, self._settings.kafka_sasl_username
        said = failures.explain_unauthorized(error, address=address, user=user)
        if said is None:
            return error
        told = DependencyUnreachableError(said, dependency="kafka")
        told.__cause__ = error
        return told

    def _fresh_pauses(self) -> Iterator[float]:
        return pauses(self._settings.retry_first_s, self._settings.retry_max_s)


def may_pass(error: BaseException) -> bool:
    return isinstance(error, TransientError) or failures.is_transient(error)
