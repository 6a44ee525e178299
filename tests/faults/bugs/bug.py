"""What a known bug is, and how it is put in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.schedule import Focus
from tests.faults.world import Shares

DRAIN_S = 20  # of a trial
ACCOUNTS = 60
STUCK = f"not through within {DRAIN_S} s"
# Repeats and garbage leave rows behind whose keys are a fence of their own: with few of them a bug shows by itself.
FEW = Shares(duplicates=0.002, garbage=0.0005)


@dataclass(frozen=True, slots=True)
class Bug:
    """`signs`: the checks that must speak up. `twins`: two processes of the service, from the beginning."""

    name: str
    service: str
    says: str
    switch_on: Callable[[], None]
    signs: frozenset[str]
    focus: Focus
    mean_pause_s: float = 1.0
    round_s: float = 12.0
    twins: bool = False
    accounts: int = ACCOUNTS
    shares: Shares = field(default_factory=Shares)
    settings: Mapping[str, str] = field(default_factory=dict)


def current(owner: Any, name: str) -> Any:
    """What is there now, of modules that do not export it."""
    return getattr(owner, name)


def replace(owner: Any, name: str, other: Any) -> Any:
    """Put something in the place of what is there, and return that. Raises where nothing is: the bug is out of date."""
    before = getattr(owner, name)
    setattr(owner, name, other)
    return before
