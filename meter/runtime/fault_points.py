"""Fault points: named places in the code where the fault tests make a process fail.

METERING_FAULT_POINTS="after_fetch:3:kill,before_commit:1:raise" fails the third time that the process reaches
`after_fetch`, and the first time that it reaches `before_commit`. Without the variable a fault point is one comparison.
Actions: kill (SIGKILL to itself), stop (SIGSTOP to itself), raise (InjectedError, transient), bug (RuntimeError).
"""

import os
import signal

from meter.runtime.errors import TransientError


class InjectedError(TransientError):
    """Raised at a fault point by the action "raise"."""


def parse_fault_points(text: str) -> dict[str, dict[int, str]]:
    """The action by fault point and visit, from `name:visit:action,…`. Raises ValueError on an unknown action."""
    armed: dict[str, dict[int, str]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, visit, action = entry.split(":")
        if action not in ACTIONS:
            raise ValueError(f"fault point {entry!r}: the action is one of {', '.join(ACTIONS)}")
        armed.setdefault(name, {})[int(visit)] = action
    return armed


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

_armed = parse_fault_points(os.environ.get("METERING_FAULT_POINTS", ""))
_visits: dict[str, int] = {}


async def fault_point(name: str) -> None:
    """Fail here, when the fault tests have armed this visit of the fault point."""
    if _armed:
        count_visit(name)


def count_visit(name: str) -> None:
    count = _visits[name] = _visits.get(name, 0) + 1
    action = _armed.get(name, {}).get(count)
    if action is not None:
        ACTIONS[action](name)
