"""The topics, and which partition a key belongs to."""

from dataclasses import dataclass
from struct import unpack_from
from typing import Final

USAGE: Final = "metering.usage"
ACCOUNTS: Final = "metering.accounts"
BALANCES: Final = "metering.balances"
NOTIFICATIONS: Final = "metering.notifications"
ANCHORS: Final = "metering.anchors"

DEFAULT_PARTITIONS: Final = 12
# Kafka limits the size of record batches, not of records. Producers fill batches up to their setting, 1 MB by default
# (librdkafka), so a smaller limit would refuse whole batches of small events. A single event has its own limit,
# `schemas.records.MAX_EVENT_BYTES`, and the meter rejects that event alone.
MAX_BATCH_BYTES: Final = 1_048_576
FOR_EVER: Final = -1
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as `meter setup` makes it. `key` says what the record key holds."""

    name: str
    retention_ms: int
    key: str
    description: str
    partitions: int = DEFAULT_PARTITIONS
    cleanup_policy: str = "delete"
    max_message_bytes: int = MAX_BATCH_BYTES


TOPICS: Final[tuple[TopicSpec, ...]] = (
    TopicSpec(USAGE, 7 * _DAY_MS, "account id", "What agents used. Any service that runs agents may write."),
    TopicSpec(
        ACCOUNTS,
        30 * _DAY_MS,
        "account id",
        "Accounts, grants and reversals. Write access for billing and support alone: who reports usage must not be "
        "able to grant credits. The event store is the lasting record.",
    ),
    TopicSpec(
        BALANCES,
        FOR_EVER,
        "account id",
        "Changes of balances and accounts. Kept for ever and not compacted: compaction could swallow the change that "
        "crossed a line, and the volume is bounded by accounts, not by events.",
    ),
    TopicSpec(NOTIFICATIONS, 30 * _DAY_MS, "account id", "Banners and emails, for whoever shows or counts them."),
    TopicSpec(
        ANCHORS,
        FOR_EVER,
        "shard number, account id",
        "Heads of the event log's hash chains and the list of forgotten accounts, kept apart from the database.",
        partitions=1,
    ),
)

# A header that the meter adds to a record it sent on to the right partition: "partition/offset/shards", where it was
# and how many shards there were. One trip is enough: a record that has it and is in a wrong partition is rejected,
# unless there are more shards since.
REROUTED_HEADER: Final = "metering-rerouted"
# The same for a reversal that waited for its usage and was sent again: where the record before it was, and what of the
# usage that was there then is stored, "partition/offset/others" or "partition/offset/all".
WAITED_HEADER: Final = "metering-waited"
OWN_HEADERS: Final = frozenset({REROUTED_HEADER, WAITED_HEADER})  # no part of what a producer sent

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's Java client has it (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    length = len(data)
    h = _SEED ^ length
    for k in unpack_from(f"<{length >> 2}I", data):
        k = k * _M & _MASK
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    tail = data[length & ~3 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """The partition that Java clients, aiokafka and librdkafka with murmur2_random choose for a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
