"""Where a command starts. What can go wrong before a verb runs, and after it, ends in a sentence and an exit code too.

It imports next to nothing: whatever is imported before `start` takes SIGINT for itself ends in a traceback on Ctrl-C.
"""

import sys
from importlib import import_module

from meter.runtime.process.exits import Exit
from meter.runtime.process.interruption import end_at_once_when_interrupted
from meter.runtime.process.streams import open_streams, tell_unwritten


def start(module: str) -> int:
    """Run the `app` of a module with the arguments of the process. Returns the exit code."""
    end_at_once_when_interrupted()
    if closed := open_streams():
        print(closed, file=sys.stderr)
        return Exit.USAGE
    code = run(module)
    return (code or Exit.FAILED) if tell_unwritten() else code


def run(module: str) -> int:
    try:
        import_module(module).app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED
    except OSError:
        if not tell_unwritten():
            raise
        return Exit.FAILED
    return Exit.OK
