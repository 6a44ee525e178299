"""Delivery of events to Kafka: a bounded buffer, one sender, retries that cannot double an event (ids are unique)."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Self

from meter.runtime.failures import explain, is_transient
from meter.runtime.kafka import Message, Producer
from meter.runtime.settings import Settings
from meter.runtime.waiting import pauses

LINGER_S = 0.005
MAX_SEND = 2_000


class DeliveryError(Exception):
    """Events that did not reach Kafka within the delivery time; sending them again with the same ids is safe."""

    def __init__(self, event_ids: Sequence[str], cause: BaseException) -> None:
        super().__init__(f"{len(event_ids)} events were not delivered: {explain(cause)}")
        self.event_ids = tuple(event_ids)


class Delivery:
    """Sends messages in order. `enqueue` returns once a message is buffered, waiting while the buffer is full."""

    def __init__(self, settings: Settings, *, client_id: str, max_pending: int, delivery_timeout_s: float) -> None:
        self._settings = settings
        self._producer = Producer(settings, client_id=client_id)
        self._max_pending = max_pending
        self._delivery_timeout_s = delivery_timeout_s
        self._waiting: list[tuple[str, Message]] = []
        self._changed = asyncio.Condition()
        self._pending = 0
        self._failed: list[str] = []
        self._cause: BaseException | None = None
        self._sender: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Raises DependencyUnreachableError."""
        await self._producer.start()
        self._sender = asyncio.create_task(self._send_forever(), name="delivery")

    async def stop(self) -> None:
        """Flush, then close. Raises DeliveryError when something could not be delivered."""
        try:
            await self.flush()
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Close at once; what is buffered is dropped."""
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
            self._sender = None
        await self._producer.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await (self.stop() if kind is None else self.abort())

    async def enqueue(self, event_id: str, message: Message) -> None:
        if self._sender is None:
            raise RuntimeError("the producer is not started: use it in `async with`")
        async with self._changed:
            await self._changed.wait_for(lambda: self._pending < self._max_pending)
            self._waiting.append((event_id, message))
            self._pending += 1
            self._changed.notify_all()

    async def flush(self) -> None:
        """Wait until nothing is pending. Raises DeliveryError for what has failed since the last flush."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._pending == 0)
        failed, cause, self._failed, self._cause = self._failed, self._cause, [], None
        if failed and cause is not None:
            raise DeliveryError(failed, cause) from cause

    async def _send_forever(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
            await asyncio.sleep(LINGER_S)  # let a burst gather into one request
            batch, self._waiting = self._waiting[:MAX_SEND], self._waiting[MAX_SEND:]
            failed, cause = await self._deliver_each(batch)
            async with self._changed:
                self._failed += failed
                self._cause = cause or self._cause
                self._pending -= len(batch)
                self._changed.notify_all()

    async def _deliver_each(self, batch: Sequence[tuple[str, Message]]) -> tuple[list[str], Exception | None]:
        """All at once; where Kafka refuses for good (one is too large), one by one, so that only the culprit fails."""
        cause = await self._deliver([message for _, message in batch])
        if cause is None or is_transient(cause) or len(batch) == 1:
            return ([] if cause is None else [event_id for event_id, _ in batch]), cause
        failed = []
        for event_id, message in batch:
            if error := await self._deliver([message]):
                failed.append(event_id)
                cause = error
        return failed, cause if failed else None

    async def _deliver(self, messages: Sequence[Message]) -> Exception | None:
        """Publish, again and again while the fault may pass and there is time; None or the last error."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._delivery_timeout_s
        for pause_s in pauses(self._settings.retry_first_s, self._settings.retry_max_s):
            try:
                await self._producer.publish(messages)
                return None
            except Exception as error:
                if not is_transient(error) or loop.time() + pause_s > deadline:
                    return error
            await asyncio.sleep(pause_s)
        raise AssertionError("pauses never end")
