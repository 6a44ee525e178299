"""Ends of partitions at which nothing but markers of transactions is left, so that no reversal waits for them.

A cursor stands behind the last record that is stored. Markers and aborted records behind that take offsets of their own
and become a gap with the record that follows them; until one does, the cursor stays below the partition's end. Of its
own partitions a consumer knows that; of the others `tail_watch` asks the broker, once for each place at which a cursor
stands still while reversals wait.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from meter.held import UsageOffsets
from meter.runtime.stretch import Stretch

STANDS_STILL_S: Final = 3.0  # a partition that is being read has moved by then


class Tails:
    """What is known; kept in memory, since whoever starts anew asks anew. Each answer stays true: what lies below the
    end of what is committed does not change."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bare: dict[int, Stretch] = {}
        self._begins_with_record: dict[int, int] = {}  # by partition: the offset
        self._wanted: dict[int, tuple[float, Stretch]] = {}  # since when the cursor stands at its beginning

    def pass_over(self, offsets: UsageOffsets) -> UsageOffsets:
        """The next offset of each partition that can hold a record."""
        passed = dict(offsets)
        for partition, stretch in self._bare.items():
            if stretch.begin <= offsets.get(partition, 0) < stretch.end:
                passed[partition] = stretch.end
        return passed

    def want(self, stretches: Mapping[int, Stretch]) -> None:
        """These are waited for now, and no others."""
        now, before = self._clock(), self._wanted
        self._wanted = {}
        for partition, stretch in stretches.items():
            since, old = before.get(partition, (now, stretch))
            self._wanted[partition] = (since if old.begin == stretch.begin else now, stretch)

    def find_due(self) -> dict[int, Stretch]:
        """What is to be asked: where a cursor stands still, and no record is known to be the next."""
        now = self._clock()
        return {
            partition: stretch
            for partition, (since, stretch) in self._wanted.items()
            if now - since >= STANDS_STILL_S and self._begins_with_record.get(partition) != stretch.begin
        }

    def note(self, asked: Mapping[int, Stretch], bare: Mapping[int, bool]) -> bool:
        """Whether something was found to be bare."""
        for partition, is_bare in bare.items():
            if is_bare:
                self._bare[partition] = asked[partition]
                self._wanted.pop(partition, None)
            else:
                self._begins_with_record[partition] = asked[partition].begin
        return any(bare.values())
