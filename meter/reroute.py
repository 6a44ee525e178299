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
from meter.runtime.outbox import OutboxRelay
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.store.evidence import decode_headers
from meter.store.held import list_due
from meter.tails import Tails
from schemas.topics import ACCOUNTS, OWN_HEADERS, REROUTED_HEADER, USAGE, WAITED_HEADER

INPUTS: Final = (USAGE, ACCOUNTS)
OUTBOX_KEY: Final = ("shard", "topic", "kafka_offset")
RECORDS: Final = 500  # of one transaction: originals of 64 KB at most, so 32 MB


def make_relay(pool: Pool, producer: Producer, health: Health, partitions: int, tails: Tails) -> OutboxRelay:
    return OutboxRelay(
        pool,
        producer,
        "meter",
        partial(read_rerouted, partitions=partitions),
        key=OUTBOX_KEY,
        health=health,
        topics=INPUTS,
        batch=RECORDS,
        choose=partial(list_due, tails),
    )


def read_rerouted(row: Mapping[str, Any], partitions: int) -> Message:
    """The record of a row of the outbox: key, value, headers and timestamp as they were.

    A reversal that is sent on to another partition has waited for nothing there, so it does not say that it has.
    """
    origin = origin_text(row["shard"], row["kafka_offset"], Seen(row["seen"]))
    is_moved = row["usage_end"] is None
    added = (REROUTED_HEADER, f"{origin}/{partitions}") if is_moved else (WAITED_HEADER, origin)
    dropped = OWN_HEADERS if is_moved else {WAITED_HEADER}  # one that waits twice has it
    kept = [header for header in decode_headers(row["headers"]) if header[0] not in dropped]
    headers: list[tuple[str, Any]] = [*kept, (added[0], added[1].encode())]
    timestamp_ms = row["timestamp_ms"] if row["timestamp_ms"] >= 0 else None
    return Message(row["topic"], row["key"], row["value"], row["partition"], headers, timestamp_ms)
