"""The event store in memory: the same promises as the one in Postgres, for tests of what uses it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

from meter.allowance import OPENED
from meter.bounds import bound_evidence, weigh_evidence
from meter.content import Content, content_of, forget_people
from meter.corrections import (
    GRANTED,
    REVOKED,
    Facts,
    NamedUsage,
    accounts_wanted,
    move_of,
    names_wanted,
    settle_corrections,
)
from meter.plan import AppendPlan, Offsets
from meter.runtime.errors import OwnershipLostError
from meter.sealing import FORGOTTEN_CODE
from meter.settle import settle, without_granted
from meter.store.layout import GENESIS, BatchHeader, chain_hash, encode_rows, rows_of
from meter.store.port import Appended
from schemas.codes import USAGE_CODES
from schemas.records import Accepted
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.log import Log


@dataclass
class Shard:
    offsets: Offsets = field(default_factory=lambda: Offsets(0, 0))
    head: bytes = GENESIS
    log: Log = field(default_factory=Log)
    contents: dict[bytes, Content] = field(default_factory=dict)
    rows: list[Accepted] = field(default_factory=list)

    def forget(self, row: Accepted) -> Accepted:
        """The event as it is taken where its account is forgotten."""
        forgotten = any(each.type == FORGOTTEN_CODE and each.account_id == row.account_id for each in self.rows)
        return forget_people(row) if forgotten else row

    def keep(self, rows: Sequence[Accepted]) -> None:
        self.rows += rows
        self.contents |= {row.key: content_of(row) for row in rows}
        forgotten = {row.account_id for row in rows if row.type == FORGOTTEN_CODE}
        for row in self.rows if forgotten else ():
            if row.account_id in forgotten:
                self.contents[row.key] = forget_people(self.contents[row.key])

    def facts(self, plan: AppendPlan) -> Facts:
        """What is stored that the plan's corrections may mean, found the slow way."""
        reversed_ = Counter[int]()
        for _, reverses, amount in self.log.links:
            reversed_[reverses] += amount
        usage = {
            name: [
                NamedUsage(position, row.source, row.resource or 0, row.amount, row.amount - reversed_[position])
                for position, row in enumerate(self.rows, 1)
                if row.type in USAGE_CODES and (row.account_id, row.event_id) == name
            ]
            for name in names_wanted(plan)
        }
        moves = {
            account: [
                move_of(row.type, row.event_id, row.resource or 0, row.amount, row.data)
                for row in self.rows
                if row.account_id == account and row.type in (GRANTED, REVOKED)
            ]
            for account in accounts_wanted(plan)
        }
        return Facts(usage, moves)


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
        plan = without_granted(plan, {row.account_id for row in shard.rows if row.type == OPENED})
        plan = replace(
            plan,
            rows=tuple(shard.forget(row) for row in plan.rows),
            again=tuple(shard.forget(row) for row in plan.again),
            corrections=tuple(shard.forget(row) for row in plan.corrections),
        )
        events = (*plan.rows, *plan.again, *plan.corrections)
        known = {row.key: shard.contents[row.key] for row in events if row.key in shard.contents}
        faults = {(row.topic, row.offset): "NUL" for row in events if not is_storable(row)}
        plan = settle(replace(plan, faults=faults), known)
        plan = settle_corrections(plan, shard.facts(plan), known, len(shard.log.events) + 1)
        return self._carry_out(shard, bound_evidence(plan))

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
            len(plan.rows), plan.repeated(), len(plan.rejections), plan.gap_offsets(), plan.recorded_at, b"",
            rerouted=len(plan.rerouted), waiting=len(plan.waiting),
        )  # fmt: skip
        stream = encode_rows(plan.rows, plan.shard, first, plan.recorded_at)
        shard.head = chain_hash(shard.head, header, rows_of(stream))
        shard.offsets = plan.following
        shard.log.events += [(first + i, row.event_id, row.offset) for i, row in enumerate(plan.rows)]
        shard.log.duplicates += [(r.topic, r.offset, r.event_id) for r in plan.repeats]
        shard.log.rejections += [(r.record.topic, r.record.offset, r.reason.value) for r in plan.rejections]
        shard.log.gaps += [(gap.topic, gap.from_offset, gap.to_offset) for gap in plan.gaps]
        shard.log.rerouted += [(r.record.topic, r.record.offset, r.partition) for r in plan.rerouted]
        shard.log.links += plan.links
        shard.log.waiting += [(w.record.topic, w.record.offset, w.reverses) for w in plan.waiting]
        shard.keep(plan.rows)
        shard.log.hashes.append(shard.head)
        return Appended(
            *header[:4], *header[8:12], header.rerouted, header.waiting, plan.rejected_by_reason(), weigh_evidence(plan)
        )

    def log(self, shard: int) -> Log:
        return deepcopy(self._shards[shard].log)


def is_storable(row: Accepted) -> bool:
    return "\x00" not in row.account_id + row.name + row.source + row.data + (row.extensions or "")
