"""Where a command starts. What can go wrong before a verb runs, and after it, ends in a sentence and an exit code too.

It imports next to nothing: whatever is imported before `start` takes SIGINT for itself ends in a traceback on Ctrl-C.
"""

import os
import signal
import sys
from importlib import import_module
from types import FrameType

from meter.runtime.process.exits import Exit


def end_at_once(_number: int, _frame: FrameType | None) -> None:
    """As a handler of SIGINT: no exception, which an import or a destructor might swallow or print as a traceback."""
    try:
        os.write(2, b"interrupted\n")
    finally:  # stderr may be closed
        os._exit(Exit.INTERRUPTED)


def end_at_once_when_interrupted() -> None:
    """Where SIGINT is ignored, as behind `&` in a script, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)


def start(module: str) -> int:
    """Run the `app` of a module with the arguments of the process. Returns the exit code."""
    end_at_once_when_interrupted()
    from meter.runtime.process.streams import open_streams, tell_unwritten

    if closed := open_streams():
        print(closed, file=sys.stderr)
        return Exit.USAGE
    code = run(module)
    return (code or Exit.FAILED) if tell_unwritten() else code


def run(module: str) -> int:
    try:
        import_module(module).app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED if end.code else Exit.OK
    except OSError:
        from meter.runtime.process.streams import tell_unwritten

        if not tell_unwritten():
            raise
        return Exit.FAILED
    return Exit.OK
