"""Sends records in a wrong partition on to that of their account: once, unchanged but for a header that says so.

Such a record is stored as an outcome of its own in the transaction of its batch, with a copy in the outbox. The relay
publishes the copies afterwards, at least once; the identity of an event makes a second copy harmless.
"""

from collections.abc import Mapping
from typing import Any, Final

from meter.runtime.kafka import Message, Producer
from meter.runtime.outbox import OutboxRelay
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.store.evidence import decode_headers
from schemas.topics import REROUTED_HEADER

OUTBOX_KEY: Final = ("shard", "topic", "kafka_offset")
RECORDS: Final = 500  # of one transaction: originals of 64 KB at most, so 32 MB
POLL_S: Final = 5.0  # another process may have ended with records in the outbox


def make_relay(pool: Pool, producer: Producer, health: Health) -> OutboxRelay:
    return OutboxRelay(
        pool, producer, "meter", read_rerouted, key=OUTBOX_KEY, health=health, batch=RECORDS, poll_s=POLL_S
    )


def read_rerouted(row: Mapping[str, Any]) -> Message:
    """The record of a row of the outbox: key, value, headers and timestamp as they were."""
    origin = f"{row['shard']}/{row['kafka_offset']}".encode()
    headers: list[tuple[str, Any]] = [*decode_headers(row["headers"]), (REROUTED_HEADER, origin)]
    timestamp_ms = row["timestamp_ms"] if row["timestamp_ms"] >= 0 else None
    return Message(row["topic"], row["key"], row["value"], row["partition"], headers, timestamp_ms)
