"""Time that passes only when it is told to, and coroutines that stop where a crash or another process may come between.

The services' own coroutines are driven here one step at a time, without an event loop: whoever is to go on next is the
choice of the simulation, so a seed gives the same history again, to the byte.
"""

import asyncio
import json
from collections.abc import Callable, Container, Coroutine, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import coroutine
from typing import Any, Final

import structlog

from schemas.parsing import envelope, json_text
from schemas.parsing.json_text import Member

START: Final = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
IDLE: Final = "idle"  # the place of a process that has found nothing to do
# Rendering lines of logs would take most of the time.
SILENT: Final = 50
READER: Final = "read_object"


class Time:
    """Seconds since the start; clocks on the wall show them wrongly or not."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def pass_s(self, seconds: float) -> None:
        self.passed_s += seconds


class WallClock:
    """A clock that somebody may have set wrong by `off_s`."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.off_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._time.passed_s + self.off_s)


@coroutine
def pause(place: str) -> Generator[str, None, None]:
    """Here the process may be stopped, killed or overtaken."""
    yield place


class Timer:
    """Of a sleep; the sleeper goes on when the simulation lets it."""

    def cancel(self) -> None:
        pass


class VirtualLoop:
    """As much of an event loop as the driven coroutines ask for: the monotonic time, and sleep."""

    def __init__(self, time: Time) -> None:
        self._time = time

    def time(self) -> float:
        return self._time.passed_s

    def get_debug(self) -> bool:
        return False

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)  # type: ignore[arg-type]  # it is asked for no more than this

    def call_later(self, _delay_s: float, _callback: Callable[..., object], *_arguments: object) -> Timer:
        return Timer()

    def call_soon(self, *_arguments: object, **_options: object) -> None:
        """Of a future that is done: nobody but the driver waits for it."""


class Process:
    """A coroutine that runs for ever, until it is killed or fails."""

    def __init__(self, running: Coroutine[Any, Any, None]) -> None:
        self._running = running
        self._sleep: asyncio.Future[Any] | None = None

    def go_on(self) -> str:
        """To the next place where it stops. Raises what it raises."""
        if self._sleep is not None:
            self._sleep.set_result(None)
        place = self._running.send(None)
        self._sleep = place if isinstance(place, asyncio.Future) else None
        return place if isinstance(place, str) else "asleep"

    def kill(self) -> None:
        self._running.close()


def read_quickly(text: str, *, unchecked: Container[str] = ()) -> dict[str, Member] | None:
    """In the place of the strict reader of JSON, which would take half of the time; tests/fuzz is about that one.

    What is read here was written by us, with the data last."""
    try:
        found = json_text._DECODER.decode(text)
    except json.JSONDecodeError:
        return json_text.read_object(text, unchecked=unchecked)
    data = text[text.find('"data":') + 7 : -1]
    return {name: Member(value, data if name == "data" else text) for name, value in found.items()}


@contextmanager
def simulated(loop: VirtualLoop) -> Iterator[None]:
    """Coroutines in the block find `loop` running, and log nothing."""
    before, settings = asyncio._get_running_loop(), structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(SILENT))
    asyncio._set_running_loop(loop)  # type: ignore[arg-type]
    setattr(envelope, READER, read_quickly)
    try:
        yield
    finally:
        setattr(envelope, READER, json_text.read_object)
        asyncio._set_running_loop(before)
        structlog.configure(**settings)
