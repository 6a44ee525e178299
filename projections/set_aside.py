"""Shards whose fold failed: set aside with a loud reason, while the others go on, and tried again in growing pauses."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from meter.runtime.errors import explain
from meter.runtime.log import get_logger
from meter.runtime.process.health import Health
from meter.runtime.waiting import pauses

log = get_logger("fold")
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0


@dataclass(slots=True)
class Pause:
    until: float
    steps: Iterator[float]


class SetAside:
    """One for all workers of a process. A shard is set aside from its first failure until a fold of it is stored."""

    def __init__(self, health: Health, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._health = health
        self._clock = clock
        self._pauses: dict[int, Pause] = {}
        health.metrics.shards_set_aside.set(0)

    @property
    def shards(self) -> list[int]:
        return sorted(self._pauses)

    def paused(self) -> list[int]:
        """The shards that are not to be tried yet."""
        now = self._clock()
        return [shard for shard in self.shards if self._pauses[shard].until > now]

    def due(self) -> list[int]:
        """The shards to be tried again."""
        paused = self.paused()
        return [shard for shard in self.shards if shard not in paused]

    def add(self, shard: int, error: Exception) -> None:
        pause = self._pauses.setdefault(shard, Pause(0.0, pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)))
        pause_s = next(pause.steps)
        pause.until = self._clock() + pause_s
        reason = explain(error)
        log.error("shard_set_aside", shard=shard, detail=reason, pause_s=round(pause_s, 1), exc_info=error)
        self._health.set_fault(fault_of(shard), f"its events are not folded, and are tried again: {reason}")
        self._note()

    def remove(self, shards: Iterable[int]) -> None:
        """They were folded."""
        for shard in shards:
            if self._pauses.pop(shard, None) is not None:
                log.warning("shard_folded_again", shard=shard)
                self._health.set_fault(fault_of(shard), None)
                self._note()

    def _note(self) -> None:
        self._health.metrics.shards_set_aside.set(len(self._pauses))


def fault_of(shard: int) -> str:
    return f"shard {shard}"
