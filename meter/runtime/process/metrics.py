"""Prometheus collectors that the services share. One `Metrics` per process, on a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.records = Counter("metering_records", "Records by outcome", ["outcome"], registry=self.registry)
        self.step_seconds = Histogram(
            "metering_step_seconds", "Time per step of a loop", ["step"], buckets=STEP_BUCKETS, registry=self.registry
        )
        self.waiting = Gauge("metering_waiting", "Work that waits, by kind", ["work"], registry=self.registry)
        self.published = Counter(
            "metering_published", "Messages published and acknowledged", ["topic"], registry=self.registry
        )
        self.rerouted = Counter(
            "metering_rerouted", "Records sent on to the partition of their account", ["source"], registry=self.registry
        )
        self.fields_ignored = Counter(
            "metering_fields_ignored", "Fields of events that were left out", ["field"], registry=self.registry
        )
        self.emails = Counter("metering_emails", "Emails by outcome", ["outcome"], registry=self.registry)
        self.reconnects = Counter(
            "metering_reconnects", "Restarts after a lost dependency", ["dependency"], registry=self.registry
        )
        self.ready = Gauge("metering_ready", "1 when the dependency is usable", ["dependency"], registry=self.registry)
        self.unopened = Gauge(
            "metering_unopened_accounts",
            "Accounts with usage or grants that nobody opened; known to projections alone",
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "metering_lag_records", "Offsets on the broker that are not stored yet", ["shard"], registry=self.registry
        )
        self.lag_seconds = Gauge(
            "metering_lag_seconds", "For how long the oldest of them waits", ["shard"], registry=self.registry
        )
        self.shards_set_aside = Gauge(
            "metering_shards_set_aside", "Shards whose events cannot be folded", registry=self.registry
        )
        self.shards = Gauge("metering_shards", "Shards assigned to this process", registry=self.registry)

    def render(self) -> bytes:
        """The text format that collectors read."""
        return generate_latest(self.registry)
