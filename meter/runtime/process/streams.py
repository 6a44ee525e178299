"""The standard streams of a command: any encoding, closed ones, and a full disk behind them.

Characters that the encoding of a stream cannot show become `?` on a terminal, and an escape such as `\\u26a0` where a
program may read: nothing is lost there, and nothing ends in a traceback.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, Final

INCOMPLETE: Final = "What was shown is not complete, what was done is done: look at it, with stdout elsewhere."
FAILING: Final = frozenset({"strict", "surrogateescape"})  # ways to encode that raise on what cannot be shown
CLOSED: Final = (
    "stdout is closed, so nothing can be shown: open it, or send it to a file or /dev/null. Nothing is done."
)


class Output(TextIOWrapper):
    """Text that is written, and the last fault of writing it: whoever catches an OSError cannot tell whose it is."""

    fault: OSError | None = None

    def write(self, text: str, /) -> int:
        with self.noting_faults():
            return super().write(text)

    def flush(self) -> None:
        with self.noting_faults():
            super().flush()

    @contextmanager
    def noting_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = error
            raise


def open_streams() -> str | None:
    """Make stdout and stderr show what they can. Returns a sentence where nothing can be shown at all.

    In place of a closed stdin or stderr nothing is read, and nobody is told.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  # as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        return CLOSED
    sys.stdout = make_output(sys.stdout)
    return None


def make_output(stream: Any) -> Output:
    """The same stream of text; stderr escapes what it cannot show by itself."""
    encoding, errors = stream.encoding, stream.errors
    lines, through = stream.line_buffering, stream.write_through
    if errors in FAILING:
        errors = "replace" if stream.isatty() else "backslashreplace"
    return Output(stream.detach(), encoding, errors, line_buffering=lines, write_through=through)


def tell_unwritten() -> bool:
    """Whether what was printed to stdout cannot be written; stderr says why, unless nobody reads any more.

    What is left to write goes nowhere then, or the interpreter would complain of it at its end.
    """
    stdout = sys.stdout
    if not isinstance(stdout, Output):  # somebody else's, who starts the app without `entry`
        return False
    with suppress(OSError):
        stdout.flush()
    if (fault := stdout.fault) is None:
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
    if fault.errno != errno.EPIPE:  # as behind `| head`
        print(f"stdout cannot be written: {fault.strerror}. {INCOMPLETE}", file=sys.stderr)
    stdout.fault = None  # it is told
    return True
