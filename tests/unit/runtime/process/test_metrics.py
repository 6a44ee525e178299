"""What a service counts before anything has happened, and the histogram of the hot path."""

from random import Random
from types import ModuleType

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from meter.runtime.process import metrics as metrics_module
from meter.runtime.process.bulk_histogram import BulkHistogram
from meter.runtime.process.health import Health
from meter.runtime.process.metrics import Metrics, begin
from schemas.compiled import VERSION, Native

WHOLE_YEAR_S = 365 * 24 * 3_600


def make_histogram() -> tuple[BulkHistogram, CollectorRegistry]:
    registry = CollectorRegistry()
    return BulkHistogram("wait_seconds", "Help", "stage", buckets=(0.1, 1), registry=registry), registry


def test_a_bulk_histogram_counts_as_prometheus_does() -> None:
    histogram, registry = make_histogram()
    histogram.observe("stored", [0.05, 0.1, 0.5, WHOLE_YEAR_S])

    def bucket(bound: str) -> float | None:
        return registry.get_sample_value("wait_seconds_bucket", {"stage": "stored", "le": bound})

    assert [bucket(bound) for bound in ("0.1", "1.0", "+Inf")] == [2, 3, 4]
    assert registry.get_sample_value("wait_seconds_count", {"stage": "stored"}) == 4
    assert registry.get_sample_value("wait_seconds_sum", {"stage": "stored"}) == 0.65 + WHOLE_YEAR_S


def test_a_producers_clock_that_is_ahead_takes_nothing_off_the_sum() -> None:
    histogram, registry = make_histogram()
    histogram.observe("stored", [-3_600, 1])
    assert registry.get_sample_value("wait_seconds_sum", {"stage": "stored"}) == 1


def test_many_values_at_once_count_as_one_by_one() -> None:
    rng = Random(3)
    values = [rng.choice((0.0, 0.1, 1.0, rng.uniform(-1, 3))) for _ in range(300)]
    at_once, shown = make_histogram()
    one_by_one, expected = make_histogram()
    at_once.observe("stored", [])
    at_once.observe("stored", values)
    for value in values:
        one_by_one.observe("stored", [value])
    for bound in ("0.1", "1.0", "+Inf"):
        labels = {"stage": "stored", "le": bound}
        count = sum(value <= float(bound) for value in values)
        assert shown.get_sample_value("wait_seconds_bucket", labels) == count
        assert expected.get_sample_value("wait_seconds_bucket", labels) == count


def test_what_begins_is_shown_at_zero() -> None:
    metrics = Metrics()
    begin(metrics.rejections, ["not_json"])
    metrics.latency.begin("stored")
    assert metrics.registry.get_sample_value("metering_rejections_total", {"reason": "not_json"}) == 0
    assert metrics.registry.get_sample_value("metering_latency_seconds_count", {"stage": "stored"}) == 0


def test_a_service_shows_nothing_of_what_others_know() -> None:
    assert b"metering_unopened_accounts" not in Metrics().render()


def test_the_pool_of_now_is_shown() -> None:
    class Pool:
        def __init__(self, opened: int) -> None:
            self.opened = opened

        def get_size(self) -> int:
            return self.opened

        def get_idle_size(self) -> int:
            return 1

        def get_max_size(self) -> int:
            return 8

    metrics = Metrics()
    for opened in (2, 5):
        metrics.watch_pool(Pool(opened))
        assert metrics.registry.get_sample_value("metering_postgres_connections", {"state": "open"}) == opened
    assert metrics.registry.get_sample_value("metering_postgres_connections_limit") == 8


def test_the_watchdog_shows_how_long_work_has_waited() -> None:
    health = Health()
    health.watch("append", lambda: 3)
    health.find_stalled(20, 60)
    assert health.metrics.registry.get_sample_value("metering_idle_seconds", {"work": "append"}) == 20
    health.forget_work()
    assert health.metrics.registry.get_sample_value("metering_idle_seconds", {"work": "append"}) is None


def test_a_needed_dependency_must_have_answered_once() -> None:
    health = Health()
    health.expect("kafka")
    health.set_opened()
    assert not health.ready
    assert "has not answered yet" in str(health.report())
    health.set_reachable("kafka", True)
    assert health.ready


def test_faults_are_counted() -> None:
    health = Health()
    health.set_fault("shard 3", "damaged")
    assert health.metrics.registry.get_sample_value("metering_faults") == 1


@pytest.mark.parametrize("state", ["used", "off", "absent", "outdated"])
def test_what_was_built_says_whether_its_compiled_part_is_in_use(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("compiled")
    vars(module)["VERSION"] = VERSION if state != "outdated" else VERSION - 1
    native = Native(None if state == "absent" else module)
    native.use(state == "used")
    monkeypatch.setattr(metrics_module, "NATIVE", native)
    metrics = Metrics()
    metrics.describe_process("meter", stall_s=60)
    shown = generate_latest(metrics.registry).decode()
    assert [
        line.startswith("metering_build_info{") for line in shown.splitlines() if f'compiled="{state}"' in line
    ] == [True]
