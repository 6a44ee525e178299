"""What the meter needs of an event store. One contract suite (tests/contract) holds every implementation to it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from meter.plan import AppendPlan

NO_REASONS: Final[Mapping[str, int]] = MappingProxyType({})


class Head(NamedTuple):
    """Where a shard's log stands."""

    next_position: int
    next_batch: int
    hash: bytes
    has_old: bool  # whether the shard has events from before they had a key
    generation: int


class Appended(NamedTuple):
    """What became of a plan: the batch's row, in short. `stored` counts event rows, `reasons` the rejected records by
    reason, `evidence` the bytes that rejections and repeats take, `head` where the log stands behind it."""

    shard: int
    batch: int
    first_position: int
    last_position: int
    stored: int
    duplicates: int
    rejected: int
    gaps: int
    rerouted: int
    waiting: int
    reasons: Mapping[str, int] = NO_REASONS
    evidence: int = 0
    head: Head | None = None


class EventStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        """The next offset to read per (topic, shard). A shard that was never set up is missing."""
        ...

    async def append(self, plan: AppendPlan) -> Appended:
        """Append one batch of one shard, wholly or not at all.

        Raises OwnershipLostError when the stored offsets are not the expected ones (nothing is written), and any
        transient error with the outcome unknown: read the offsets again, never repeat the same plan blindly.
        """
        ...

    async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        """Append a batch each of several shards in one transaction: small batches cost the transaction, not the rows.

        None: nothing is written, because the shard of one is lost or locked, or a row of one is refused, or a
        transaction takes one shard only, as on Citus: append them one by one. Transient errors as above, for all.
        """
        ...
