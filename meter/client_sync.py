"""The producers for code without asyncio, Flask and Celery for example.

    usage = SyncUsageProducer(source="//agents.example.com/runner")  # once per process, when the module is loaded
    usage.tool_run("acct-1", tool="web-search")                      # from any thread
    usage.close()                                                    # at the end; raises if something was not delivered

A thread of its own runs the producer of `meter.client`. It starts with the first event, and anew in a forked child:
what the parent had buffered stays the parent's. It starts although Kafka is away; events then wait in the buffer.
"""

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

from meter.client import AccountsProducer, UsageProducer
from meter.delivery import ABORT_S, BLOCK_S, DELIVERY_TIMEOUT_S, MAX_PENDING, check_bounds
from meter.event_producer import LIMITS, EventProducer
from meter.runtime.settings import Settings, load_settings
from meter.undelivered import DeliveryError, NotRunningError, OnLost
from schemas.records import Limits

__all__ = ["SyncAccountsProducer", "SyncUsageProducer"]

P = ParamSpec("P")
T = TypeVar("T")
AsyncT = TypeVar("AsyncT", bound=EventProducer)
# For what is buffered at the end of the process: below the usual time before a container is killed.
CLOSE_S: Final = 20.0
CANCEL_S: Final = 2.0  # for what is under way when the thread ends
CLOSED: Final = "the producer is closed: make a new one"
OWN_THREAD: Final = (
    "on_lost must not send, flush or close: it is called in the producer's thread, which would wait for itself. "
    "Keep the error, and call send_again(error) from another thread"
)


class Background(Generic[AsyncT]):
    """A thread with a loop that runs one producer."""

    def __init__(self, producer: AsyncT) -> None:
        self.producer = producer
        self._loop = asyncio.new_event_loop()
        self._guard = threading.Lock()
        self._ended = False
        # A daemon: `close` at exit waits for it, with a bound, and the process must end even where Kafka hangs.
        self._thread = threading.Thread(target=self._loop.run_forever, name="credit-meter-producer", daemon=True)
        self._thread.start()
        self.run(self.producer.__aenter__())

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Its result, or what it raised. Raises NotRunningError where the loop ends before it has one."""
        if self.is_own_thread():
            call.close()
            raise RuntimeError(OWN_THREAD)
        with self._guard:  # nothing is given to a loop that has ended: nobody would ever answer
            answer = None if self._ended else asyncio.run_coroutine_threadsafe(call, self._loop)
        if answer is None:
            call.close()
            raise NotRunningError(CLOSED)
        try:
            return answer.result()
        except concurrent.futures.CancelledError:
            raise NotRunningError(CLOSED) from None

    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def close(self, timeout_s: float | None) -> None:
        try:
            self.run(self.producer.close(timeout_s))
        finally:
            with self._guard:
                self._ended = True
            asyncio.run_coroutine_threadsafe(self._cancel_rest(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _cancel_rest(self) -> None:
        """Threads may wait for what is still under way."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=CANCEL_S)


class SyncProducer(Generic[AsyncT]):
    """What both share: the thread, its start, its end, and forks."""

    kind: type[AsyncT]

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        source: str,
        max_pending: int = MAX_PENDING,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        block_s: float = BLOCK_S,
        on_lost: OnLost | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """As for the producers of `meter.client`. Settings come from the environment where none are given.

        `on_lost` is called in the background thread: it must not send, and be quick."""
        check_bounds(max_pending, delivery_timeout_s, block_s)
        # Settings that are wrong show when the program starts, not with its first event.
        known = settings or load_settings(Settings)
        self._make: Callable[[], AsyncT] = lambda: self.kind(
            known, source=source, max_pending=max_pending, delivery_timeout_s=delivery_timeout_s,
            block_s=block_s, connect=False, on_lost=on_lost, limits=limits,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._background: Background[AsyncT] | None = None
        self._closed = False
        ALIVE.add(self)

    def flush(self) -> None:
        """Wait for the acknowledgement of everything sent so far. Raises DeliveryError."""
        if (background := self._background) is not None:
            background.run(background.producer.flush())

    def close(self, timeout_s: float | None = CLOSE_S) -> None:
        """Flush and end the thread. Raises DeliveryError for what could not be delivered in this time."""
        if self._background is not None and self._background.is_own_thread():
            raise RuntimeError(OWN_THREAD)
        with self._lock:
            self._closed = True
            background, self._background = self._background, None
        if background is not None:
            background.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """After an exception, which must not be covered up, it closes in a moment: what is lost is reported."""
        if kind is None:
            self.close()
            return
        with contextlib.suppress(DeliveryError):
            self.close(ABORT_S)

    def call(self, method: Callable[[AsyncT], Coroutine[Any, Any, T]]) -> T:
        """Run a method of the producer in its thread; the result, or what it raised."""
        background = self._started()
        return background.run(method(background.producer))

    def forget_parent(self) -> None:
        """In a forked child: no thread came along, and the connection is the parent's."""
        if self._background is not None:
            INHERITED.append(self._background)
        self._background = None
        self._lock = threading.Lock()

    def _started(self) -> Background[AsyncT]:
        background = self._background
        if background is not None:
            return background
        with self._lock:
            if self._closed:
                raise NotRunningError(CLOSED)
            if self._background is None:
                self._background = Background(self._make())
            return self._background


def blocking(
    method: Callable[Concatenate[AsyncT, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[SyncProducer[AsyncT], P], T]:
    """The method of the same name that waits until the event is buffered."""

    def call(self: SyncProducer[AsyncT], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.call(lambda producer: method(producer, *args, **kwargs))

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    return call


class SyncUsageProducer(SyncProducer[UsageProducer]):
    """Reports usage on metering.usage."""

    kind = UsageProducer

    model_inference = blocking(UsageProducer.model_inference)
    guardrail = blocking(UsageProducer.guardrail)
    custom_script = blocking(UsageProducer.custom_script)
    tool_run = blocking(UsageProducer.tool_run)
    item_changed = blocking(UsageProducer.item_changed)
    send = blocking(UsageProducer.send)
    send_again = blocking(UsageProducer.send_again)


class SyncAccountsProducer(SyncProducer[AccountsProducer]):
    """For billing and support."""

    kind = AccountsProducer

    opened = blocking(AccountsProducer.opened)
    plan_changed = blocking(AccountsProducer.plan_changed)
    contacts_changed = blocking(AccountsProducer.contacts_changed)
    renamed = blocking(AccountsProducer.renamed)
    closed = blocking(AccountsProducer.closed)
    forgotten = blocking(AccountsProducer.forgotten)
    reopened = blocking(AccountsProducer.reopened)
    granted = blocking(AccountsProducer.granted)
    revoked = blocking(AccountsProducer.revoked)
    reversed = blocking(AccountsProducer.reversed)
    send = blocking(AccountsProducer.send)
    send_again = blocking(AccountsProducer.send_again)


ALIVE: "weakref.WeakSet[SyncProducer[Any]]" = weakref.WeakSet()
# Kept for ever: a loop that is collected in a child would take its descriptors out of the epoll that the parent shares.
INHERITED: list[Background[Any]] = []


def forget_parents() -> None:
    for producer in list(ALIVE):
        producer.forget_parent()


def close_all() -> None:
    """At the end of the process; what is lost was logged, and given to `on_lost`."""
    for producer in list(ALIVE):
        with contextlib.suppress(DeliveryError):
            producer.close()


if hasattr(os, "register_at_fork"):  # not on Windows, where there is no fork
    os.register_at_fork(after_in_child=forget_parents)
atexit.register(close_all)
