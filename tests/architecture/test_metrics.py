"""Metrics are named as Prometheus wants it."""

import pytest
from prometheus_client import Metric

from tests.support.metrics import families, faults, make_all

FAMILIES = families(make_all().render().decode())


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_metric_keeps_the_conventions(name: str) -> None:
    assert faults(FAMILIES[name]) == []


def test_nothing_tells_when_a_series_was_created() -> None:
    metrics = make_all()
    metrics.records.labels("stored").inc()
    metrics.step_seconds.labels("append").observe(1)
    assert b"_created" not in metrics.render()


@pytest.mark.parametrize(
    ("family", "fault"),
    [
        (Metric("metering_waitTime", "Help", "gauge"), "is not snake case"),
        (Metric("metering_wait_ms", "Help", "gauge"), "has a unit that is not a base unit"),
        (Metric("metering_wait_total", "Help", "gauge"), "ends like a series of another type"),
        (Metric("wait_seconds", "Help", "gauge"), "does not begin with the name of the application"),
        (Metric("metering_wait", "", "gauge"), "has no help"),
        (Metric("metering_wait", "Help", "histogram"), "is a histogram without a unit"),
    ],
)
def test_a_fault_is_found(family: Metric, fault: str) -> None:
    assert faults(family) == [f"{family.name} {fault}"]
