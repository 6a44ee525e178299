"""The event store in memory: the same promises as the one in Postgres, for tests of what uses it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from meter.content import Content, content_of
from meter.plan import AppendPlan, Offsets, settle, without_unstorable
from meter.runtime.errors import OwnershipLostError
from meter.store.layout import GENESIS, BatchHeader, chain_hash, encode_rows, rows_of
from meter.store.port import Appended
from schemas.records import Accepted
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.log import Log


@dataclass
class Shard:
    offsets: Offsets = field(default_factory=lambda: Offsets(0, 0))
    head: bytes = GENESIS
    log: Log = field(default_factory=Log)
    contents: dict[bytes, Content] = field(default_factory=dict)


class MemoryEventStore:
    def __init__(self, shards: int) -> None:
        self._shards = {number: Shard() for number in range(shards)}

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        found = {number: self._shards[number].offsets for number in shards if number in self._shards}
        offsets = {number: {USAGE: at.usage, ACCOUNTS: at.accounts} for number, at in found.items()}
        return {(topic, number): offsets[number][topic] for number in found for topic in topics}

    async def append(self, plan: AppendPlan) -> Appended:
        shard = self._shards.get(plan.shard)
        if shard is None or shard.offsets != plan.expected:
            raise OwnershipLostError(f"shard {plan.shard} expects other offsets")
        plan = settle(plan, {row.key: shard.contents[row.key] for row in plan.rows if row.key in shard.contents})
        plan = without_unstorable(plan, {(r.topic, r.offset): "NUL" for r in plan.rows if not is_storable(r)})
        return self._carry_out(shard, plan)

    async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        before = deepcopy(self._shards)
        try:
            appended = [await self.append(plan) for plan in plans]
        except OwnershipLostError:
            self._shards = before
            return None
        if not all(is_storable(row) for plan in plans for row in plan.rows):
            self._shards = before
            return None
        return appended

    def _carry_out(self, shard: Shard, plan: AppendPlan) -> Appended:
        first = len(shard.log.events) + 1
        header = BatchHeader(
            plan.shard, len(shard.log.hashes) + 1, first, first + len(plan.rows) - 1,
            plan.expected.usage, plan.following.usage, plan.expected.accounts, plan.following.accounts,
            len(plan.rows), len(plan.repeats), len(plan.rejections), plan.gap_offsets(), plan.recorded_at, b"",
            rerouted=len(plan.rerouted),
        )  # fmt: skip
        stream = encode_rows(plan.rows, plan.shard, first, plan.recorded_at)
        shard.head = chain_hash(shard.head, header, rows_of(stream))
        shard.offsets = plan.following
        shard.contents |= {row.key: content_of(row) for row in plan.rows}
        shard.log.events += [(first + i, row.event_id, row.offset) for i, row in enumerate(plan.rows)]
        shard.log.duplicates += [(r.topic, r.offset, r.event_id) for r in plan.repeats]
        shard.log.rejections += [(r.record.topic, r.record.offset, r.reason.value) for r in plan.rejections]
        shard.log.gaps += [(gap.topic, gap.from_offset, gap.to_offset) for gap in plan.gaps]
        shard.log.rerouted += [(r.record.topic, r.record.offset, r.partition) for r in plan.rerouted]
        shard.log.hashes.append(shard.head)
        return Appended(*header[:4], *header[8:12], header.rerouted)

    def log(self, shard: int) -> Log:
        return deepcopy(self._shards[shard].log)


def is_storable(row: Accepted) -> bool:
    return "\x00" not in row.account_id + row.name + row.source + row.data + (row.extensions or "")
