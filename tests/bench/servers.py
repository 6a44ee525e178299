"""The servers of the benchmark: Postgres 18 and Apache Kafka, durable, with the settings that are reported."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.local.apache_kafka import PROPERTIES, ApacheKafka, fetch_jars
from deploy.local.postgres import EmbeddedPostgres

# Sized for 2 cores and some GB. Durability is left alone: fsync, synchronous_commit and full_page_writes are on.
POSTGRES = {
    "shared_buffers": "1GB",
    "wal_buffers": "64MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "512MB",
    "file_copy_method": "copy",
}
REPORTED = (
    *POSTGRES,
    *(
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "wal_level",
        "wal_compression",
        "max_connections",
        "autovacuum",
    ),
)
KAFKA_HEAP_MB = 1024
# As a broker has it by default, but shorter: processes that start together share the partitions before they read any.
SETTLED = {"group.initial.rebalance.delay.ms": "500"}
PARTITIONS = 12


class BenchKafka(ApacheKafka):
    def settle(self, own: dict[str, str]) -> dict[str, str]:
        return super().settle(own) | SETTLED


@dataclass(frozen=True, slots=True)
class Servers:
    postgres: EmbeddedPostgres
    kafka: ApacheKafka

    def pids(self) -> dict[str, int]:
        return {"postgres": self.postgres.child.pid, "kafka": self.kafka.child.pid}

    def kafka_settings(self) -> dict[str, str]:
        own = {"version": self.kafka.version, "heap": f"{KAFKA_HEAP_MB}m", "partitions": str(PARTITIONS)}
        return own | {"producer compression": "lz4", "producer acks": "all"} | PROPERTIES | SETTLED


@contextmanager
def run_servers() -> Iterator[Servers]:
    postgres = EmbeddedPostgres(POSTGRES)
    kafka = BenchKafka(fetch_jars(), KAFKA_HEAP_MB)
    try:
        postgres.start()
        kafka.start()
        yield Servers(postgres, kafka)
    finally:
        kafka.close()
        postgres.close()
