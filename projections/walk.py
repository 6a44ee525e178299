"""What epochs a balance must have: the rules told a second time, for `verify`. Pure; shares nothing with the fold.

Takes the few events of a balance that may begin an epoch, with what was consumed by the end of each. Usage in between
begins none, so it is added up by the database.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas.codes import TYPES_BY_CODE

GRANTED, REVOKED, REVERSED = "credits.granted.v1", "credits.revoked.v1", "usage.reversed.v1"


class EpochStep(NamedTuple):
    """A row of `list_epoch_steps`."""

    account_id: str
    resource: int
    position: int
    recorded_at: datetime
    type: int
    amount: int
    opened: bool
    consumed: int


@dataclass(slots=True)
class Walk:
    """Of one balance. `totals` are what was granted by the end of each grant."""

    account_id: str
    resource: int
    granted: int = 0
    totals: list[int] = field(default_factory=list)
    base: int = 0
    epoch: int = 0

    def take(self, step: EpochStep) -> bool:
        """Whether the step begins an epoch."""
        match TYPES_BY_CODE[step.type]:
            case type if type == GRANTED:
                self.granted += step.amount
                self.totals.append(self.granted)
            case type if type == REVOKED:
                self.granted = max(0, self.granted - step.amount)
                self.totals = [min(total, self.granted) for total in self.totals]
            case type if type == REVERSED and step.consumed >= self.base:
                return False
        self.base = min(0, step.consumed)
        if not step.opened:
            return False
        for total in self.totals:
            if self.base < total <= step.consumed:
                self.base = total
        if self.epoch == 0 and self.granted == 0:
            return False
        self.epoch += 1
        return True


class Epoch(NamedTuple):
    """`granted` and `base` as they are from its beginning to its end; `consumed` in all when it begins."""

    account_id: str
    resource: int
    epoch: int
    position: int
    recorded_at: datetime
    granted: int
    base: int
    consumed: int


def walk(steps: Iterable[EpochStep]) -> tuple[list[Walk], list[Epoch]]:
    """Where each balance ends, and its epochs. Steps come balance by balance, each in the order of positions."""
    ends: list[Walk] = []
    epochs = list(find_epochs(steps, ends))
    return ends, epochs


def find_epochs(steps: Iterable[EpochStep], ends: list[Walk]) -> Iterator[Epoch]:
    for step in steps:
        if not ends or (ends[-1].account_id, ends[-1].resource) != (step.account_id, step.resource):
            ends.append(Walk(step.account_id, step.resource))
        own = ends[-1]
        if own.take(step):
            yield Epoch(*step[:2], own.epoch, step.position, step.recorded_at, own.granted, own.base, step.consumed)
