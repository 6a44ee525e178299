"""Waiting for a condition instead of sleeping for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
POLL_S = 0.02
GIVEN_UP_S = 60  # of what takes a second or less: machines that run tests stand still for seconds


@overload
async def until(
    condition: Callable[[], Awaitable[T]],
    timeout_s: float = ...,
    message: str | Callable[[], str] = ...,
    poll_s: float = ...,
) -> T: ...
@overload
async def until(
    condition: Callable[[], T],
    timeout_s: float = ...,
    message: str | Callable[[], str] = ...,
    poll_s: float = ...,
) -> T: ...
async def until(
    condition: Callable[[], T | Awaitable[T]],
    timeout_s: float = GIVEN_UP_S,
    message: str | Callable[[], str] = "",
    poll_s: float = POLL_S,
) -> T:
    """Ask until the answer is true, and return it. Raises AssertionError with the message and the last answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(describe(condition, timeout_s, message, value))
        await asyncio.sleep(poll_s)


def until_sync(
    condition: Callable[[], T],
    timeout_s: float = GIVEN_UP_S,
    message: str | Callable[[], str] = "",
    poll_s: float = POLL_S,
) -> T:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(describe(condition, timeout_s, message, value))
        time.sleep(poll_s)
    return value


def describe(condition: object, timeout_s: float, message: str | Callable[[], str], value: object) -> str:
    words = message() if callable(message) else message
    return f"not within {timeout_s:g} s: {words or getattr(condition, '__name__', condition)} (last answer: {value!r})"
