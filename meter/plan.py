"""Plan what one batch of one shard will append: pure, so that a test can print it and the shell only carries it out.

Every offset of the batch's range ends as exactly one of: event row, repeat, rejection, gap.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from meter.allowance import RESERVED_VERSION, VERSION_AT, Allowance
from schemas.events import INPUT_TYPES
from schemas.reasons import Reason
from schemas.records import Accepted, Record, Rejected
from schemas.topics import ACCOUNTS, USAGE

offset_of = attrgetter("offset")
INPUT_TOPICS = (ACCOUNTS, USAGE)  # the order of one batch: a grant that waits beside usage counts before it
OPENED = INPUT_TYPES["account.opened.v1"].code

TopicOffset = tuple[str, int]
Results = Mapping[str, Sequence[Accepted | Rejected]]


class Offsets(NamedTuple):
    """Next offsets to read of a shard's two input partitions."""

    usage: int
    accounts: int

    @classmethod
    def of(cls, by_topic: Mapping[str, int]) -> "Offsets":
        return cls(by_topic[USAGE], by_topic[ACCOUNTS])


class Repeat(NamedTuple):
    """A record whose event id is already stored, or stood earlier in the batch."""

    topic: str
    offset: int
    event_id: str


class Gap(NamedTuple):
    """Offsets the broker never delivered: [from_offset, to_offset)."""

    topic: str
    from_offset: int
    to_offset: int


@dataclass(frozen=True, slots=True)
class AppendPlan:
    """What to append to one shard in one transaction. Rows are in the order of their positions."""

    shard: int
    recorded_at: datetime
    expected: Offsets
    following: Offsets
    rows: tuple[Accepted, ...]
    derived: frozenset[str]  # event ids of rows that follow from the record before them (free allowance)
    repeats: tuple[Repeat, ...]
    rejections: tuple[Rejected, ...]
    gaps: tuple[Gap, ...]
    records: Mapping[str, Sequence[Record]]

    def ids(self) -> list[str]:
        return [row.event_id for row in self.rows]

    def gap_offsets(self) -> int:
        return sum(gap.to_offset - gap.from_offset for gap in self.gaps)

    def record_at(self, at: TopicOffset) -> Record:
        """The record that a row came from."""
        return find_record(self.records, at)


def plan_append(
    *,
    shard: int,
    records: Mapping[str, Sequence[Record]],
    results: Results,
    start: Mapping[str, int],
    end: Mapping[str, int],
    recorded_at: datetime,
    allowance: Allowance,
) -> AppendPlan:
    """Sort what parsing made of a batch into rows, repeats, rejections and gaps.

    `results[topic]` answers `records[topic]` one by one; `start` and `end` are the next offsets before and after.
    """
    ordered = [result for topic in INPUT_TOPICS for result in results.get(topic, ())]
    rejections = [result for result in ordered if type(result) is Rejected]
    accepted: list[Accepted] = (
        [result for result in ordered if type(result) is Accepted] if rejections else ordered  # type: ignore[assignment]
    )
    if any(event.event_id[VERSION_AT] == RESERVED_VERSION for event in accepted):
        accepted, reserved = split_reserved(accepted, records)
        rejections += reserved
    rows, derived, repeats = drop_repeats(accepted, allowance)
    return AppendPlan(
        shard=shard,
        recorded_at=recorded_at,
        expected=Offsets.of(start),
        following=Offsets.of(end),
        rows=tuple(rows),
        derived=frozenset(derived),
        repeats=tuple(repeats),
        rejections=tuple(rejections),
        gaps=tuple(gap for topic in INPUT_TOPICS for gap in find_gaps(topic, records, start[topic], end[topic])),
        records=records,
    )


def split_reserved(
    accepted: Sequence[Accepted], records: Mapping[str, Sequence[Record]]
) -> tuple[list[Accepted], list[Rejected]]:
    """Reject ids of the kind that the meter gives to the events it derives: sent ahead they would block those."""
    good = [event for event in accepted if event.event_id[VERSION_AT] != RESERVED_VERSION]
    reserved = [
        Rejected(
            find_record(records, (event.topic, event.offset)),
            Reason.INVALID_ID,
            f"id {event.event_id} is a UUID of version 8, reserved for events that the meter derives itself",
        )
        for event in accepted
        if event.event_id[VERSION_AT] == RESERVED_VERSION
    ]
    return good, reserved


def drop_repeats(accepted: Sequence[Accepted], allowance: Allowance) -> tuple[list[Accepted], list[str], list[Repeat]]:
    """Rows, derived ids and repeats, in order. The usual batch has neither repeats nor openings: one pass over ids."""
    if len({event.event_id for event in accepted}) == len(accepted) and not any(e.type == OPENED for e in accepted):
        return list(accepted), [], []
    seen: set[str] = set()
    rows: list[Accepted] = []
    derived: list[str] = []
    repeats: list[Repeat] = []
    for event in accepted:
        if event.event_id in seen:
            repeats.append(Repeat(event.topic, event.offset, event.event_id))
            continue
        seen.add(event.event_id)
        rows.append(event)
        for grant in allowance.grants_for(event) if event.type == OPENED else ():
            if grant.event_id not in seen:
                seen.add(grant.event_id)
                rows.append(grant)
                derived.append(grant.event_id)
    return rows, derived, repeats


def find_record(records: Mapping[str, Sequence[Record]], at: TopicOffset) -> Record:
    """The record at an offset. Offsets of a topic ascend; a batch may ask thousands of times."""
    topic, offset = at
    return records[topic][bisect_left(records[topic], offset, key=offset_of)]


def find_gaps(topic: str, records: Mapping[str, Sequence[Record]], start: int, end: int) -> Iterator[Gap]:
    """Offsets of [start, end) that no record has: transaction markers, or records gone by retention."""
    batch = records.get(topic, ())
    if len(batch) == end - start:  # offsets ascend without repeats, so as many as the range is all of it
        return
    expected = start
    for record in batch:
        if record.offset > expected:
            yield Gap(topic, expected, record.offset)
        expected = record.offset + 1
    if end > expected:
        yield Gap(topic, expected, end)


def without_known(plan: AppendPlan, known: Iterable[str]) -> AppendPlan:
    """Turn rows whose ids are stored already into repeats. A record's derived rows go with it."""
    ids = frozenset(known)
    if not ids:
        return plan
    repeats = [
        Repeat(row.topic, row.offset, row.event_id)
        for row in plan.rows
        if row.event_id in ids and row.event_id not in plan.derived
    ]
    repeated = {(repeat.topic, repeat.offset) for repeat in repeats}
    rows = [
        row
        for row in plan.rows
        if row.event_id not in ids and not (row.event_id in plan.derived and (row.topic, row.offset) in repeated)
    ]
    return replace(plan, rows=tuple(rows), repeats=(*plan.repeats, *repeats))


def without_unstorable(plan: AppendPlan, faults: Mapping[TopicOffset, str]) -> AppendPlan:
    """Turn the records that the database refuses into rejections; `faults` says why, by topic and offset.

    Repeats of a refused event go the same way: nothing with their id is stored.
    """
    if not faults:
        return plan
    refused = {row.event_id: faults[row.topic, row.offset] for row in plan.rows if (row.topic, row.offset) in faults}
    again = {(r.topic, r.offset): refused[r.event_id] for r in plan.repeats if r.event_id in refused}
    rejections = [
        Rejected(plan.record_at(place), Reason.UNSTORABLE, detail) for place, detail in {**faults, **again}.items()
    ]
    return replace(
        plan,
        rows=tuple(row for row in plan.rows if (row.topic, row.offset) not in faults),
        repeats=tuple(r for r in plan.repeats if r.event_id not in refused),
        rejections=(*plan.rejections, *rejections),
    )
