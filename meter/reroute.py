"""Sends on records in a wrong partition to that of their account, and once more reversals that waited for their usage.

Such a record is stored as an outcome of its own in the transaction of its batch, with a copy in the outbox. The relay
publishes the copies afterwards, at least once, unchanged but for a header that says so; the identity of an event makes
a second copy harmless. `held` says when a waiting reversal is due.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from meter.held import Seen, origin_text
from meter.runtime.kafka import Message, Producer
from meter.runtime.looks import Looks
from meter.runtime.outbox import OutboxRelay
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.store.evidence import decode_headers
from meter.store.held import list_due
from meter.tails import Tails
from schemas.topics import ACCOUNTS, REROUTED_HEADER, USAGE, WAITED_HEADER

INPUTS: Final = (USAGE, ACCOUNTS)
OUTBOX_KEY: Final = ("shard", "topic", "kafka_offset")
RECORDS: Final = 500  # of one transaction: originals of 64 KB at most, so 32 MB
POLL_S: Final = 5.0  # another process may have ended with records in the outbox


def make_relay(pool: Pool, producer: Producer, health: Health, tails: Tails) -> OutboxRelay:
    return OutboxRelay(
        pool,
        producer,
        "meter",
        read_rerouted,
        key=OUTBOX_KEY,
        health=health,
        topics=INPUTS,
        batch=RECORDS,
        looks=Looks(POLL_S),
        choose=partial(list_due, tails),
    )


def read_rerouted(row: Mapping[str, Any]) -> Message:
    """The record of a row of the outbox: key, value, headers and timestamp as they were."""
    origin = origin_text(row["shard"], row["kafka_offset"], Seen(row["seen"])).encode()
    added = REROUTED_HEADER if row["usage_end"] is None else WAITED_HEADER
    kept = [header for header in decode_headers(row["headers"]) if header[0] != added]  # one that waits twice has it
    headers: list[tuple[str, Any]] = [*kept, (added, origin)]
    timestamp_ms = row["timestamp_ms"] if row["timestamp_ms"] >= 0 else None
    return Message(row["topic"], row["key"], row["value"], row["partition"], headers, timestamp_ms)
