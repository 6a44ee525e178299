"""Ctrl-C (SIGINT): what a verb does about it, and what it says then.

asyncio cancels the verb at its next `await`. Where it waits for a person or a file instead, there is none, and the key
would do nothing: `interruptible` has such a wait end.
Before and after the event loop `end_at_once` in entry.py is what happens.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

INTERRUPTED: Final = "interrupted"

_said: ContextVar[list[str] | None] = ContextVar("said when interrupted", default=None)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt in the block, be it in an event loop, and does what it did before behind it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before in (signal.SIG_IGN, None):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def keeping_what_was_done() -> Iterator[list[str]]:
    """Holds, as its last element, what `say_when_interrupted` was told in the block, in tasks and threads of it too."""
    said: list[str] = []
    token = _said.set(said)
    try:
        yield said
    finally:
        _said.reset(token)


def say_when_interrupted(done: str) -> None:
    """From here to the end of the verb, or until something else is said, Ctrl-C is answered with what was done.

    Not a block around the wait: what is closed behind a block waits too, and the key may come then.
    """
    if (said := _said.get()) is not None:
        said.append(f"{INTERRUPTED}{done}")


def describe_interruption(said: list[str]) -> str:
    return said[-1] if said else INTERRUPTED
