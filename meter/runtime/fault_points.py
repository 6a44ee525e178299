"""Named points where the fault tests make a process fail. Without METERING_FAULT_POINTS each is one comparison.

METERING_FAULT_POINTS="after_fetch:3:kill,before_commit:1:raise" fails at the third and the first passing.
Actions: kill (SIGKILL to itself), stop (SIGSTOP to itself), raise (InjectedError, transient), bug (RuntimeError).
"""

import os
import signal

from meter.runtime.errors import TransientError


class InjectedError(TransientError):
    """Raised at a fault point."""


def read_points(text: str) -> dict[str, dict[int, str]]:
    points: dict[str, dict[int, str]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, passing, action = entry.split(":")
        if action not in ACTIONS:
            raise ValueError(f"fault point {entry!r}: the action is one of {', '.join(ACTIONS)}")
        points.setdefault(name, {})[int(passing)] = action
    return points


def fail_with_error(name: str) -> None:
    raise InjectedError(f"fault point {name}")


def fail_with_bug(name: str) -> None:
    raise RuntimeError(f"fault point {name}")


ACTIONS = {
    "kill": lambda _name: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _name: os.kill(os.getpid(), signal.SIGSTOP),
    "raise": fail_with_error,
    "bug": fail_with_bug,
}

_points = read_points(os.environ.get("METERING_FAULT_POINTS", ""))
_passings: dict[str, int] = {}


async def fault_point(name: str) -> None:
    """Pass a fault point."""
    if _points:
        pass_point(name)


def pass_point(name: str) -> None:
    count = _passings[name] = _passings.get(name, 0) + 1
    action = _points.get(name, {}).get(count)
    if action is not None:
        ACTIONS[action](name)
