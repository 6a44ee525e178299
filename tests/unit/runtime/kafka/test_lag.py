"""Since when a partition is behind, and what is said of one that a transaction holds back."""

from collections.abc import Sequence

import pytest

from meter.runtime.kafka.lag import MOST_SAMPLES, LagClock, PartitionLag
from meter.runtime.lag_watch import HELD_BACK_S, LOOK_COUNTS_S, UNFETCHED_S, LagWatch
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

    def __init__(self) -> None:
        self.silent: dict[tuple[str, int], str] = {}
        self.fetched: dict[tuple[str, int], int | None] = {}

    def measure_lag(self) -> Sequence[PartitionLag]:
        return self.lags

    def list_silent(self) -> dict[tuple[str, int], str]:
        return self.silent

    def list_fetched(self) -> dict[tuple[str, int], int | None]:
        return self.fetched


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


def look_on(made: Made, seconds: float) -> None:
    """A look each second."""
    for _ in range(round(seconds)):
        made.look(made.now + 1)


@pytest.mark.parametrize("stamp", [None, 77])
def test_a_partition_that_no_fetch_of_is_answered_is_named_after_a_minute(made: Made, stamp: int | None) -> None:
    made.consumer.fetched = {("metering.usage", 3): stamp}
    look_on(made, UNFETCHED_S)
    assert made.health.ready
    look_on(made, 3)
    [(part, reason)] = dict(made.health.report()["faults"]).items()  # type: ignore[call-overload]
    assert part == "metering.usage 3"
    assert reason.startswith("no fetch of metering.usage, partition 3 was answered for more than 60 s. Does each have")
    made.consumer.fetched = {("metering.usage", 3): 78}
    look_on(made, 1)
    assert made.health.ready


def test_a_partition_whose_buffer_was_full_meanwhile_has_not_waited(made: Made) -> None:
    made.consumer.fetched = {("metering.usage", 3): 77}
    look_on(made, UNFETCHED_S - 1)
    made.consumer.fetched = {}
    look_on(made, 1)
    made.consumer.fetched = {("metering.usage", 3): 77}
    look_on(made, UNFETCHED_S - 1)
    assert made.health.ready


def test_a_process_that_stood_still_has_not_waited_for_a_fetch(made: Made) -> None:
    made.consumer.fetched = {("metering.usage", 3): 77}
    look_on(made, 2)
    made.look(made.now + 10 * UNFETCHED_S)
    assert made.health.ready
    assert LOOK_COUNTS_S < UNFETCHED_S


def test_a_partition_that_keeps_its_shard_from_being_read_is_named_at_once(made: Made) -> None:
    made.consumer.silent = {("metering.accounts", 1): "no answer came in time"}
    made.look(1)
    [(part, reason)] = dict(made.health.report()["faults"]).items()  # type: ignore[call-overload]
    assert part == "metering.accounts 1"
    assert reason.startswith("metering.accounts, partition 1 does not answer: no answer came in time. Does each have")
    made.consumer.silent = {}
    made.look(2)
    assert made.health.ready
