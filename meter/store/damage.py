"""What `meter verify` can find, in words for people. Pure."""

from enum import StrEnum
from typing import NamedTuple


class Damage(StrEnum):
    BATCH_CHANGED = "batch_changed"
    BATCH_MISSING = "batch_missing"
    BATCH_UNREADABLE = "batch_unreadable"
    CHAIN_BROKEN = "chain_broken"
    POSITIONS_BROKEN = "positions_broken"
    OFFSETS_BROKEN = "offsets_broken"
    COUNTS_WRONG = "counts_wrong"
    SHARD_CHANGED = "shard_changed"
    SHARD_MISSING = "shard_missing"
    STRAY_ROW = "stray_row"
    LINK_WRONG = "link_wrong"
    GENERATION_WRONG = "generation_wrong"
    FORMER_CHANGED = "former_changed"
    CODES_CHANGED = "codes_changed"
    LOG_CUT = "log_cut"
    HISTORY_REWRITTEN = "history_rewritten"
    ANCHOR_UNREADABLE = "anchor_unreadable"


class Finding(NamedTuple):
    """`shard` and `batch` are None where the damage has no such place."""

    shard: int | None
    batch: int | None
    damage: Damage
    detail: str

    @property
    def place(self) -> str:
        parts = (("shard", self.shard), ("batch", self.batch))
        return " ".join(f"{name} {number}" for name, number in parts if number is not None) or "the whole store"

    @property
    def advice(self) -> str:
        return ADVICE.get(self.damage, RESTORE)


RESTORE = (
    "Stop the services and keep the database as it is for the inquiry. Restore into another database from a backup "
    "older than the change, compare the batches named here, and let the meter read on from the restored offsets."
)
ADVICE = {
    Damage.BATCH_UNREADABLE: "Look for failing storage first (the server's log, checksums). " + RESTORE,
    Damage.COUNTS_WRONG: "The batch was sealed like this: a faulty writer, not a later change. Stop the meter, keep "
    "the database, and compare the records of the offsets it covers on Kafka.",
    Damage.SHARD_CHANGED: "Stop the meter before it goes on from a wrong place. If all batches are whole, set the row "
    "of meter.shards to what follows from the last batch; otherwise restore from a backup.",
    Damage.STRAY_ROW: "No batch vouches for these rows: they were inserted outside the meter. Find out by whom; remove "
    "them only once that is known.",
    Damage.LINK_WRONG: "Stop the meter, so that nothing is reversed twice. If all batches are whole, the rows of "
    "meter.reversals were changed: put them back to what the events of the log say.",
    Damage.CODES_CHANGED: "Put meter.event_types and meter.resources back to what the migration has.",
    Damage.LOG_CUT: "The end of the log is gone, or the database was restored from a backup older than the anchor. "
    "While Kafka still has the records, the meter reads them again from the stored offsets; the batches will be cut "
    "otherwise than before, and anchors of then keep contradicting. A new event store in front of old anchors needs a "
    "METERING_TOPIC_PREFIX of its own.",
    Damage.ANCHOR_UNREADABLE: "Something other than the meter wrote to the topic of anchors. Give write access to the "
    "meter alone.",
}
