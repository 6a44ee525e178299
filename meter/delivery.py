"""Delivery of events to Kafka: a bounded buffer, a sender for each partition, retries that cannot double an event (ids
are unique). A partition that fails or is silent holds up no other, until what waits for it fills the buffer.

Nothing is dropped unseen. An event that is not delivered in time is logged and goes to `on_lost`; without that the next
`flush` or `stop` raises DeliveryError with it. A full buffer makes senders wait, and then raises BufferFullError.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final, Self

from meter.lanes import Lane, TrySorter
from meter.runtime.errors import DependencyUnreachableError, explain
from meter.runtime.kafka.producer import Landed, Message, OnLanded, Producer
from meter.runtime.settings import Settings
from meter.undelivered import BufferFullError, DeliveryError, Losses, NotRunningError, OnLost, Pending
from schemas.figures import count_of

LINGER_S: Final = 0.005
MAX_SEND: Final = 2_000  # events of a partition in one call
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
    """Sends the messages of a partition in order. `enqueue` returns once one is buffered, waiting for room."""

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
        self._sorter = TrySorter(settings, awaits_rights=awaits_rights)
        self._buffer: dict[int, Pending] = {}  # by their number: neither delivered nor lost
        self._unplaced = Lane(settings)  # nobody has asked yet for their partition
        self._lanes: dict[tuple[str, int], Lane] = {}  # by topic and partition
        self._taken = 0
        self._changed = asyncio.Condition()
        self._arrived = asyncio.Event()  # there is something to place
        self._left = asyncio.Event()  # an event has left the buffer
        self.landed: Landed | None = None  # where the newest event is that was delivered
        self._sends: asyncio.Task[None] | None = None
        self._hangs_up = False
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
                event = self._buffer[self._taken] = Pending(event_id, message, deadline, self._taken)
                self._unplaced.events.append(event)
                self._arrived.set()
        except TimeoutError:
            trouble = self._trouble
            why = f": {explain(trouble)}" if trouble else ""
            no_room = f"there was no room for this one in {self._block_s:g} s{why}"
            text = f"waiting for Kafka: {count_of(self._max_pending, 'event')}, and {no_room}; {event_id} was not taken"
            raise BufferFullError(text) from trouble

    async def flush(self) -> None:
        """Wait until each event is delivered or lost that was taken before this call, however many come meanwhile.

        Raises DeliveryError for what was lost since the last flush.
        """
        await self._settle(self._taken)
        self._losses.raise_kept()

    async def _settle(self, last: int) -> None:
        """Wait until nothing up to this number is pending."""

        def settled() -> bool:
            return next(iter(self._buffer), last + 1) > last

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
        return len(self._buffer)

    @property
    def _trouble(self) -> Exception | None:
        """Why what is buffered has not been delivered, as far as is known."""
        return next((lane.trouble for lane in (self._unplaced, *self._lanes.values()) if lane.trouble), None)

    async def _close(self) -> None:
        """End the sender and the connection; what is still buffered is lost, and reported as that."""
        self._hangs_up = True
        if self._sends is not None:
            self._sends.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sends
            self._sends = None
        self._lose_all(self._closed_before())
        async with self._changed:
            self._changed.notify_all()  # another task may flush
        await self._producer.stop()

    def _lose_all(self, cause: Exception) -> None:
        left = list(self._buffer.values())
        self._buffer.clear()
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
            if self._hangs_up and isinstance(error, asyncio.CancelledError):
                raise
            log.exception("delivery_failed")
            failed = RuntimeError(f"the producer has failed: {explain(error)}")
            failed.__cause__ = error
            self._lose_all(failed)
            await self._end(self._ended or f"has failed ({explain(error)}): close it, make a new one, and report this")
            if not isinstance(error, Exception):
                raise

    async def _send_forever(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_of_room())
            while True:
                await self._arrived.wait()
                await asyncio.sleep(LINGER_S)  # let a burst gather into one request
                self._arrived.clear()
                events = list(self._unplaced.events)
                places = await self._producer.place([event.message for event in events])
                failed: list[Exception] = []
                unplaced: list[Pending] = []
                for event, place in zip(events, places, strict=True):
                    if isinstance(place, Exception):
                        failed.append(place)
                        unplaced.append(event)
                        continue
                    at = event.message.topic, place
                    if at not in self._lanes:
                        self._lanes[at] = Lane(self._settings)
                        tasks.create_task(self._send_lane(at))
                    self._lanes[at].events.append(event)
                self._unplaced.events[: len(events)] = unplaced
                self._take_in(self._unplaced, failed)
                if self._unplaced.events:
                    self._arrived.set()
                await self._unplaced.rest()

    async def _tell_of_room(self) -> None:
        """Wakes who waits for room, or flushes."""
        while True:
            await self._left.wait()
            self._left.clear()
            async with self._changed:
                self._changed.notify_all()

    async def _send_lane(self, at: tuple[str, int]) -> None:
        """Send what one partition is to get, until there is nothing more: what was not delivered goes first."""
        try:
            while (lane := self._lanes[at]).events:
                events = lane.events[:MAX_SEND]
                messages = [event.message._replace(partition=at[1]) for event in events]  # it is not worked out again
                self._take_in(lane, await self._producer.publish_each(messages, self._note_landed(events)))
                await lane.rest()
        except asyncio.CancelledError as error:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            raise RuntimeError("sending was cancelled from within") from error  # else nobody would learn of it
        del self._lanes[at]

    def _note_landed(self, events: Sequence[Pending]) -> OnLanded:
        """At once, and not when the call ends: a close that comes before that must not take them for lost."""

        def note(number: int, where: Landed) -> None:
            self.landed = where
            self._drop(events[number])

        return note

    def _drop(self, event: Pending) -> None:
        """It is delivered or lost."""
        if self._buffer.pop(event.number, None) is not None:
            self._left.set()

    def _take_in(self, lane: Lane, results: Sequence[Landed | Exception]) -> None:
        """What became of its first events. Nothing is awaited here: who flushes meanwhile must not find that nothing is
        pending before what is lost is known."""
        tried = lane.events[: len(results)]
        lost, left, lane.trouble = self._sorter.sort(tried, results)
        lane.events[: len(results)] = left
        for cause, events in lost.items():
            self._losses.report(events, cause)
            for event in events:
                self._drop(event)
        if any(isinstance(result, Landed) for result in results):
            lane.note_success()
