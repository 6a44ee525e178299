"""Ctrl-C (SIGINT): what a verb does about it, and what it says then.

asyncio cancels the verb at its next `await`. Where it waits for a person or a file instead, there is none, and the key
would do nothing: `interruptible` has such a wait end.
Before and after the event loop `end_at_once` in entry.py is what happens.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from meter.runtime.errors import InterruptionError

INTERRUPTED: Final = "interrupted"


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
def ending_with(message: str) -> Iterator[None]:
    """Raises InterruptionError with `message`, of what was done until then, when the verb is cancelled in the block."""
    from asyncio import CancelledError  # whoever asks for help does not wait for it

    try:
        yield
    except CancelledError:
        raise InterruptionError(message) from None
