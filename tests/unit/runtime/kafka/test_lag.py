"""Since when a partition is behind, and what is said of one that a transaction holds back."""

from collections.abc import Sequence

import pytest

from meter.runtime.kafka.lag import MOST_SAMPLES, LagClock, PartitionLag
from meter.runtime.lag_watch import HELD_BACK_S, LagWatch
from meter.runtime.process.health import Health


def lag(stored: int, end: int, *, stable: int | None = None, shard: int = 0) -> PartitionLag:
    return PartitionLag("metering.usage", shard, stored, end if stable is None else stable, end, end - stored)


def test_a_partition_is_behind_since_the_first_end_beyond_what_is_stored() -> None:
    clock = LagClock()
    assert clock.note(lag(0, 0), 0.0)[0] == 0
    assert clock.note(lag(0, 10), 1.0)[0] == 0
    assert clock.note(lag(0, 20), 5.0)[0] == 4
    assert clock.note(lag(10, 30), 8.0)[0] == 3  # what was there at 1.0 is stored, what was there at 5.0 is not
    assert clock.note(lag(30, 30), 9.0)[0] == 0
    assert clock.note(lag(30, 31), 20.0)[0] == 0


def test_a_busy_partition_that_keeps_up_is_not_behind_for_long() -> None:
    clock = LagClock()
    seconds = [clock.note(lag(100 * now, 100 * now + 150), float(now))[0] for now in range(1000)]
    assert max(seconds) <= 2


def test_a_long_outage_keeps_few_samples_and_the_oldest() -> None:
    clock = LagClock()
    for now in range(10_000):
        seconds, _held = clock.note(lag(0, now + 1), float(now))
    assert seconds == 9_999
    assert len(clock._ends) <= MOST_SAMPLES + 1


def test_a_partition_is_held_back_while_its_stable_offset_stands_still() -> None:
    clock = LagClock()
    assert clock.note(lag(5, 9, stable=5), 0.0)[1] == 0
    assert clock.note(lag(5, 12, stable=5), 7.0)[1] == 7
    assert clock.note(lag(9, 12, stable=9), 8.0)[1] == 0
    assert clock.note(lag(12, 12, stable=12), 9.0)[1] == 0


class Consumer:
    lags: Sequence[PartitionLag] = ()

    def measure_lag(self) -> Sequence[PartitionLag]:
        return self.lags


class Made:
    def __init__(self) -> None:
        self.now = 0.0
        self.consumer = Consumer()
        self.health = Health()
        self.health.set_opened()
        self.watch = LagWatch(self.consumer, self.health, clock=lambda: self.now)

    def look(self, now: float, *lags: PartitionLag) -> None:
        self.now, self.consumer.lags = now, lags
        self.watch.look()


@pytest.fixture
def made() -> Made:
    return Made()


def test_readiness_names_the_partition_and_the_reason(made: Made) -> None:
    made.look(0, lag(5, 9, stable=5, shard=2))
    assert made.health.ready
    made.look(HELD_BACK_S, lag(5, 9, stable=5, shard=2))
    assert not made.health.ready
    assert made.health.report()["faults"] == {
        "metering.usage 2": "an open transaction holds back 4 records of metering.usage, partition 2, from offset 5 "
        "on. They are read once its producer or the broker ends it: deploy/README.md, Transactions"
    }
    made.look(HELD_BACK_S + 1, lag(9, 9, shard=2))
    assert made.health.ready


def test_a_shard_that_another_process_has_now_is_no_fault_and_no_metric_of_ours(made: Made) -> None:
    made.look(0, lag(5, 9, stable=5, shard=2), lag(0, 3, shard=1))
    made.look(HELD_BACK_S, lag(5, 9, stable=5, shard=2), lag(0, 3, shard=1))
    text = made.health.metrics.render().decode()
    assert 'metering_lag_records{shard="2"} 4.0' in text
    assert 'metering_lag_seconds{shard="1"} 10.0' in text
    made.look(HELD_BACK_S + 1, lag(0, 3, shard=1))
    assert made.health.ready
    assert 'shard="2"' not in made.health.metrics.render().decode()


def test_the_topics_of_a_shard_are_counted_together(made: Made) -> None:
    made.look(0, lag(0, 3), lag(0, 4)._replace(topic="metering.accounts"))
    assert 'metering_lag_records{shard="0"} 7.0' in made.health.metrics.render().decode()
