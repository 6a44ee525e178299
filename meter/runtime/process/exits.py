"""Exit codes, apart from what ends a process with them: a command that only shows its help loads no more."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of services and commands."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    STALLED = 4
    GRACE_OVER = 5
    INTERRUPTED = 130  # as shells count: 128 and the number of SIGINT
