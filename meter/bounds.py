"""How much of what is refused or repeated is kept record by record, and how the rest is kept. Pure.

Evidence is a row for each record while it is little. Where a batch brings more than the shard has room for, all its
records of one reason become one row with their packed bytes, all its repeats one row, and what is sent on one row for
each account and source: nothing is lost, and what is small on the wire stays small in Postgres. Of records without an
event as much is packed as was kept of them: the first of neighbours, the beginning of what is too large, with length
and digest of the whole. Of a record that is no longer than an event may be, and was cut for its key, the length alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Final

from meter.floods import place_of
from meter.packing import OF_FIRST, note_whole, pack
from meter.plan import AppendPlan, Repeat
from schemas.records import MAX_EVENT_BYTES, OffsetRanges, Record, Rejected, Rerouted

# Of a row in Postgres beside its bytes, with what its indexes take.
ROW_BYTES: Final = 256
# One record alone is packed as well, where it is larger than this.
ALONE_BYTES: Final = 2048
REFILL_S: Final = 60


class Room:
    """Bytes of evidence that each shard may keep record by record. What is used comes back within a minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left: dict[int, tuple[float, datetime]] = {}

    def left(self, shard: int, now: datetime) -> int:
        left, since = self._left.get(shard, (self._most, now))
        back = self._most * max(0.0, (now - since).total_seconds()) / REFILL_S
        return int(min(self._most, left + back))

    def use(self, shard: int, size: int, now: datetime) -> None:
        self._left[shard] = (self.left(shard, now) - size, now)


def weigh_evidence(plan: AppendPlan) -> int:
    """Bytes that the plan's evidence takes, roughly; what stands for several counts as it is."""
    moved = plan.rerouted if plan.moved is None else plan.moved
    return ROW_BYTES * (len(plan.repeats) + len(moved)) + sum(map(weigh, plan.rejections))


def weigh(rejected: Rejected) -> int:
    record = rejected.record
    size = ROW_BYTES + len(rejected.detail) + len(record.key or b"") + len(record.value or b"")
    return size + sum(len(name) + len(value or b"") for name, value in record.headers)


def bound_evidence(plan: AppendPlan) -> AppendPlan:
    """The plan as it is where it fits into its room; else with one row for each reason, one for the repeats, and one
    for each account and source whose records are sent on."""
    if plan.room is None or weigh_evidence(plan) <= plan.room:
        return plan
    return replace(
        plan,
        rejections=tuple(join_rejections(plan.rejections)),
        repeats=tuple(join_repeats(plan.repeats)),
        moved=tuple(join_rerouted(plan.rerouted)),
    )


def join_rejections(rejections: Iterable[Rejected]) -> list[Rejected]:
    """Whatever lies between them: who writes two kinds in turns is no better off than who writes one."""
    groups = groupby(sorted(rejections, key=kind_of), key=lambda rejected: kind_of(rejected)[:2])
    return sorted((join(list(group)) for _, group in groups), key=place_of)


def kind_of(rejected: Rejected) -> tuple[str, str, int]:
    return rejected.record.topic, rejected.reason.value, rejected.record.offset


def join(group: Sequence[Rejected]) -> Rejected:
    """Its key is that of all its records, where they have the same: so they are found by their account."""
    first, last = group[0], group[-1]
    if first is last and (weigh(first) <= ALONE_BYTES or first.reason.is_final):
        return first
    keys = {rejected.record.key for rejected in group}
    key = first.record.key if len(keys) == 1 else None
    packed = Record(
        *first.record[:4], None if len(key or b"") > ALONE_BYTES else key, pack([to_pack(each) for each in group]), ()
    )
    return Rejected(
        packed,
        first.reason,
        f"{sum(rejected.records for rejected in group)} records, packed together{OF_FIRST}{first.detail}",
        to_offset=last.beyond,
        offsets=merge_ranges((each.record.offset, each.beyond) for each in group),
    )


def to_pack(rejected: Rejected) -> Record:
    """Digests do not pack. Of what is short a small batch may have thousands, and would become a large row."""
    if rejected.length is None or rejected.digest is None:
        return rejected.record
    digest = rejected.digest if rejected.length > MAX_EVENT_BYTES else b""
    return note_whole(rejected.record, rejected.length, digest)


def join_repeats(repeats: Iterable[Repeat]) -> list[Repeat]:
    ordered = sorted(repeats, key=lambda repeat: (repeat.topic, repeat.offset))
    groups = [list(group) for _, group in groupby(ordered, key=lambda repeat: repeat.topic)]
    return [
        group[0] if len(group) == 1 else group[0]._replace(offsets=ranges_of([repeat.offset for repeat in group]))
        for group in groups
    ]


def join_rerouted(rerouted: Iterable[Rerouted]) -> list[Rerouted]:
    groups = groupby(sorted(rerouted, key=whose), key=lambda moved: whose(moved)[:4])
    joined = []
    for _, group in groups:
        first, *others = group
        offsets = ranges_of([first.record.offset, *(moved.record.offset for moved in others)])
        joined.append(first._replace(offsets=offsets) if others else first)
    return joined


def whose(moved: Rerouted) -> tuple[str, int, str, str, int]:
    return moved.record.topic, moved.partition, moved.account_id, moved.source, moved.record.offset


def without_copies(rerouted: Iterable[Rerouted]) -> list[Rerouted]:
    """What is sent on of a flood: of records that are the same to the byte the first, for the others count as its
    repeats in any case."""
    firsts: dict[object, Rerouted] = {}
    for moved in rerouted:
        record = moved.record
        firsts.setdefault((record.topic, record.key, record.value, tuple(record.headers)), moved)
    return list(firsts.values())


def ranges_of(ascending: Iterable[int]) -> OffsetRanges:
    """Ranges [from, to) that hold just these offsets."""
    return merge_ranges((offset, offset + 1) for offset in ascending)


def merge_ranges(ascending: Iterable[tuple[int, int]]) -> OffsetRanges:
    """Neighbours as one. Never by the offset: a batch that nobody can read may name 2^31 of them."""
    ranges: list[tuple[int, int]] = []
    for begin, to in ascending:
        if ranges and ranges[-1][1] == begin:
            ranges[-1] = (ranges[-1][0], to)
        else:
            ranges.append((begin, to))
    return tuple(ranges)
