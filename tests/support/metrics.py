"""The metrics of services: every one there can be, those that a process shows, and what Prometheus says about names."""

import re
from functools import cached_property
from typing import Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from meter.runtime.process.metrics import Metrics
from tests.support.processes import ServiceProcess

OURS: Final = "metering_"
NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Prometheus wants base units: seconds, bytes, a ratio, never their multiples.
DERIVED_UNITS: Final = frozenset(
    {"ms", "us", "milliseconds", "minutes", "hours", "days", "kb", "mb", "kilobytes", "megabytes", "percent", "s"}
)
# Endings that belong to the series of a counter, histogram or summary.
SERIES: Final = ("_total", "_count", "_sum", "_bucket", "_created")


def make_all() -> Metrics:
    """One with every collector registered."""
    metrics = Metrics()
    for name, attribute in vars(Metrics).items():
        if isinstance(attribute, cached_property):
            getattr(metrics, name)
    metrics.describe_process("meter", stall_s=60)
    return metrics


def families(text: str) -> dict[str, Metric]:
    """By name, that of a counter without `_total`."""
    return {family.name: family for family in text_string_to_metric_families(text)}


def read(service: ServiceProcess) -> dict[str, Metric]:
    """What it shows now."""
    status, text = service.get("/metrics")
    assert status == 200
    return families(text)


def value(service: ServiceProcess, name: str, **labels: str) -> float | None:
    """Of the first series that has these labels."""
    for family in read(service).values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def faults(family: Metric) -> list[str]:
    """What a reader of Prometheus' conventions would object to."""
    found = []
    if NAME.fullmatch(family.name) is None:
        found.append("is not snake case")
    if DERIVED_UNITS & set(family.name.split("_")):
        found.append("has a unit that is not a base unit")
    if family.name.endswith(SERIES):
        found.append("ends like a series of another type")
    if not family.name.startswith((OURS, "process_")):
        found.append("does not begin with the name of the application")
    if not family.documentation.strip():
        found.append("has no help")
    if family.type == "histogram" and not family.name.endswith(("_seconds", "_records")):
        found.append("is a histogram without a unit")
    return [f"{family.name} {fault}" for fault in found]


def series_of(family: Metric) -> set[str]:
    """The names under which it can be asked for."""
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return {family.name + ending for ending in endings.get(family.type, [""])}
