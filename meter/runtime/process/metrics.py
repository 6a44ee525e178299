"""Prometheus collectors of the services. One `Metrics` per process, on a registry of its own.

A collector is shown from its first use on, so a service shows what it knows and no zeros of what others do. Counters
whose labels are known begin at 0 (`begin`): a rate over the first failure needs the zero before it. `_created` is off.
"""

import platform
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from meter.runtime.looks import MOST_UNOPENED
from meter.runtime.process.bulk_histogram import BulkHistogram
from meter.runtime.process.distribution import DISTRIBUTION
from schemas.compiled import NATIVE

STEP_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_BUCKETS: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
# From a tenth of a second, which is usual, to a week, which is a backfill.
LATENCY_BUCKETS: Final = (
    0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600, 6 * 3_600, 24 * 3_600, 7 * 24 * 3_600,
)  # fmt: skip


SOURCES_COUNTED: Final = 100  # each by its own name; the rest together
OTHER_SOURCES: Final = "other"


class Connections(Protocol):
    """What a pool says about itself."""

    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...
    def get_max_size(self) -> int: ...


class Metrics:
    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._sources: set[str] = set()

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, label: str, buckets: Iterable[float]) -> Histogram:
        return Histogram(name, help_text, [label], buckets=tuple(buckets), registry=self.registry)

    # What a service did.

    @cached_property
    def records(self) -> Counter:
        return self._counter("metering_records", "Records by outcome", "outcome")

    @cached_property
    def rejections(self) -> Counter:
        return self._counter("metering_rejections", "Rejected records by reason", "reason")

    @cached_property
    def rerouted(self) -> Counter:
        return self._counter("metering_rerouted", "Records sent on to the partition of their account", "source")

    @cached_property
    def fields_ignored(self) -> Counter:
        return self._counter("metering_fields_ignored", "Fields of events that were left out", "field")

    @cached_property
    def published(self) -> Counter:
        return self._counter("metering_published", "Messages published and acknowledged", "topic")

    @cached_property
    def notices(self) -> Counter:
        return self._counter("metering_notices", "Notices recorded, by channel", "channel")

    @cached_property
    def emails(self) -> Counter:
        return self._counter("metering_emails", "Emails by outcome", "outcome")

    @cached_property
    def requests(self) -> Counter:
        return self._counter("metering_requests", "Requests to the console, by what became of them", "outcome")

    @cached_property
    def reconnects(self) -> Counter:
        return self._counter("metering_reconnects", "Restarts after a lost dependency", "dependency")

    # How long it took and how much it was.

    @cached_property
    def step_seconds(self) -> Histogram:
        return self._histogram("metering_step_seconds", "Time per step of a loop", "step", STEP_BUCKETS)

    @cached_property
    def batch_records(self) -> Histogram:
        return self._histogram("metering_batch_records", "Records or events of one batch", "work", BATCH_BUCKETS)

    @cached_property
    def latency(self) -> BulkHistogram:
        return BulkHistogram(
            "metering_latency_seconds",
            "Time until a stage was done: stored since the event's own time, balance and notice since the event was "
            "stored, letter accepted since it was owed",
            "stage",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )

    # What waits.

    @cached_property
    def waiting(self) -> Gauge:
        return self._gauge("metering_waiting", "Work that waits, by kind", "work")

    @cached_property
    def idle_seconds(self) -> Gauge:
        return self._gauge(
            "metering_idle_seconds", "For how long work has waited without progress, as the watchdog counts it", "work"
        )

    @cached_property
    def stall_limit_seconds(self) -> Gauge:
        return self._gauge("metering_stall_limit_seconds", "Idle time at which the watchdog ends the process")

    @cached_property
    def lag_records(self) -> Gauge:
        return self._gauge("metering_lag_records", "Offsets on the broker that are not stored yet", "shard")

    @cached_property
    def lag_seconds(self) -> Gauge:
        return self._gauge("metering_lag_seconds", "For how long the oldest of them waits", "shard")

    @cached_property
    def fold_lag_events(self) -> Gauge:
        return self._gauge("metering_fold_lag_events", "Stored events that are not folded yet", "work", "shard")

    @cached_property
    def fold_lag_seconds(self) -> Gauge:
        return self._gauge("metering_fold_lag_seconds", "For how long the oldest of them is stored", "work", "shard")

    @cached_property
    def outbox_age_seconds(self) -> Gauge:
        return self._gauge(
            "metering_outbox_age_seconds", "For how long the oldest message waits to be published", "outbox"
        )

    @cached_property
    def emails_due(self) -> Gauge:
        return self._gauge("metering_emails_due", "Letters whose time to be sent has come")

    @cached_property
    def emails_overdue_seconds(self) -> Gauge:
        return self._gauge("metering_emails_overdue_seconds", "For how long the first of them has been due")

    @cached_property
    def emails_oldest_seconds(self) -> Gauge:
        return self._gauge(
            "metering_emails_oldest_seconds",
            "For how long the oldest letter has been owed that is not put off by a limit of a day",
        )

    @cached_property
    def emails_held(self) -> Gauge:
        return self._gauge(
            "metering_emails_held",
            "Letters owed for more than an hour without the time for which a limit of a day put them off",
        )

    @cached_property
    def emails_claimed(self) -> Gauge:
        return self._gauge("metering_emails_claimed", "Letters that this process has claimed and is sending")

    @cached_property
    def unopened(self) -> Gauge:
        help = f"Accounts with usage or grants that nobody opened; {MOST_UNOPENED} where there are more"
        return self._gauge("metering_unopened_accounts", help)

    # How the process is.

    @cached_property
    def ready(self) -> Gauge:
        return self._gauge("metering_ready", "1 when the dependency is usable", "dependency")

    @cached_property
    def faults(self) -> Gauge:
        return self._gauge("metering_faults", "Parts that do not go on while everything is connected")

    @cached_property
    def shards(self) -> Gauge:
        return self._gauge("metering_shards", "Shards assigned to this process")

    @cached_property
    def grown_partitions(self) -> Gauge:
        return self._gauge(
            "metering_grown_partitions", "Partitions of a topic that no shard has: somebody has grown it", "topic"
        )

    def note_grown(self, topic: str, partitions: int) -> None:
        self.grown_partitions.labels(topic).set(partitions)

    @cached_property
    def shards_set_aside(self) -> Gauge:
        return self._gauge("metering_shards_set_aside", "Shards whose events cannot be folded")

    @cached_property
    def connections(self) -> Gauge:
        return self._gauge("metering_postgres_connections", "Connections of the pool", "state")

    @cached_property
    def connections_limit(self) -> Gauge:
        return self._gauge("metering_postgres_connections_limit", "Connections the pool may open")

    @cached_property
    def transaction_seconds(self) -> Gauge:
        return self._gauge(
            "metering_postgres_transaction_seconds",
            "For how long, as this process has seen, the oldest transaction in the database is open, of whichever role",
        )

    @cached_property
    def build_info(self) -> Gauge:
        return self._gauge("metering_build_info", "1, with what runs here", "service", "version", "python", "compiled")

    def count_rerouted(self, source: str, count: int) -> None:
        """A producer chooses its source, and a metric must not grow with what producers choose."""
        if len(self._sources) < SOURCES_COUNTED:
            self._sources.add(source)
        self.rerouted.labels(source if source in self._sources else OTHER_SOURCES).inc(count)

    def watch_pool(self, pool: Connections) -> None:
        """Show this pool from now on; after a reconnect it is another."""
        self.connections.labels("open").set_function(pool.get_size)
        self.connections.labels("idle").set_function(pool.get_idle_size)
        self.connections_limit.set_function(pool.get_max_size)

    def describe_process(self, service: str, stall_s: float) -> None:
        self.build_info.labels(service, version(DISTRIBUTION), platform.python_version(), NATIVE.state).set(1)
        self.stall_limit_seconds.set(stall_s)
        ProcessCollector(registry=self.registry)

    def read(self, name: str) -> dict[str, int]:
        """What a counter or gauge of ours shows, by its labels; nothing where this process has not touched it."""
        collector = vars(self).get(name)
        if collector is None:
            return {}
        [family] = collector.collect()
        return {"/".join(sample.labels.values()): int(sample.value) for sample in family.samples}

    def render(self) -> bytes:
        """The text format that collectors read."""
        return generate_latest(self.registry)


def begin(collector: Any, values: Iterable[str]) -> None:
    """Show these values of a collector's only label, at 0."""
    for value in values:
        collector.labels(value)
