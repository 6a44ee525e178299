"""Looks at the lag of a consumer every second: metrics by shard, and a fault that names what holds a shard back.

A fault is a partition behind an open transaction, one that is not fetched from, and one that keeps its shard from being
read because it does not say where it ends.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from meter.runtime.kafka.asking import HINT
from meter.runtime.kafka.lag import LagClock, PartitionLag
from meter.runtime.log import get_logger
from meter.runtime.process.health import Health
from meter.runtime.waiting import wait_for
from schemas.figures import count_of

log = get_logger("kafka_lag")
EVERY_S: Final = 1.0
# A producer that commits as it should is through by then.
HELD_BACK_S: Final = 10.0
# A new leader is there after seconds, and a fetch is answered within as many. A process that stood still meanwhile has
# not waited: between two looks at most this much counts.
UNFETCHED_S: Final = 60.0
LOOK_COUNTS_S: Final = 5.0

Place = tuple[str, int]  # topic and partition


class Consumer(Protocol):
    def measure_lag(self) -> Sequence[PartitionLag]: ...

    def list_silent(self) -> Mapping[Place, str]: ...

    def list_fetched(self) -> Mapping[Place, int | None]: ...


class Unfetched(NamedTuple):
    """For how long the stamp of a partition's last fetch has not changed."""

    stamp: int | None
    seconds: float


class LagWatch:
    name = "kafka-lag"

    def __init__(self, consumer: Consumer, health: Health, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._health = health
        self._clock = clock
        self._clocks: dict[Place, LagClock] = {}
        self._unfetched: dict[Place, Unfetched] = {}
        self._last_look = clock()
        self._held: set[str] = set()  # the parts that have a fault
        self._shown: dict[int, tuple[int, float]] = {}  # by shard

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                self.look()
                await wait_for(stop, EVERY_S)
        finally:
            self._show({}, {})  # whoever looks next has other shards, and would leave these as they are

    def look(self) -> None:
        now = self._clock()
        records: dict[int, int] = {}
        seconds: dict[int, float] = {}
        held: dict[str, str] = {}
        lags = {(lag.topic, lag.shard): lag for lag in self._consumer.measure_lag()}
        self._clocks = {key: self._clocks.get(key) or LagClock() for key in lags}
        for key, lag in lags.items():
            behind_s, held_s = self._clocks[key].note(lag, now)
            records[lag.shard] = records.get(lag.shard, 0) + lag.records
            seconds[lag.shard] = max(seconds.get(lag.shard, 0.0), behind_s)
            if held_s >= HELD_BACK_S:
                held[name(key)] = explain(lag)
        held |= self._find_unfetched(now)
        silent = self._consumer.list_silent()
        held |= {name(place): f"{where(place)} does not answer: {reason}. {HINT}" for place, reason in silent.items()}
        self._show(records, seconds)
        self._tell(held)

    def _find_unfetched(self, now: float) -> dict[str, str]:
        """Faults of partitions that should be fetched from, and are not."""
        elapsed, self._last_look = min(now - self._last_look, LOOK_COUNTS_S), now
        before, self._unfetched = self._unfetched, {}
        for place, stamp in self._consumer.list_fetched().items():
            old = before.get(place)
            waited = old.seconds + elapsed if old is not None and old.stamp == stamp else 0.0
            self._unfetched[place] = Unfetched(stamp, waited)
        return {
            name(place): f"no fetch of {where(place)} was answered for more than {UNFETCHED_S:.0f} s. {HINT}"
            for place, found in self._unfetched.items()
            if found.seconds > UNFETCHED_S
        }

    def _show(self, records: dict[int, int], seconds: dict[int, float]) -> None:
        metrics = self._health.metrics
        for shard in self._shown.keys() - records.keys():
            metrics.lag_records.remove(shard)
            metrics.lag_seconds.remove(shard)
        now = {shard: (count, seconds[shard]) for shard, count in records.items()}
        for shard, (count, behind_s) in now.items():
            if self._shown.get(shard) != (count, behind_s):  # at rest nothing changes, and a metric is slow to set
                metrics.lag_records.labels(shard).set(count)
                metrics.lag_seconds.labels(shard).set(behind_s)
        self._shown = now

    def _tell(self, held: dict[str, str]) -> None:
        for part in self._held - held.keys():
            log.warning("partition_read_again", partition=part)
            self._health.set_fault(part, None)
        for part, reason in held.items():
            if part not in self._held:
                log.error("partition_held_back", partition=part, detail=reason)
            self._health.set_fault(part, reason)
        self._held = set(held)


def name(place: Place) -> str:
    """The part that has a fault."""
    return f"{place[0]} {place[1]}"


def where(place: Place) -> str:
    return f"{place[0]}, partition {place[1]}"


def explain(lag: PartitionLag) -> str:
    return (
        f"an open transaction holds back {count_of(lag.held_back, 'record')} of {lag.topic}, partition {lag.shard}, "
        f"from offset {lag.stable} on. They are read once its producer or the broker ends it: deploy/README.md, "
        "Transactions"
    )
