"""Plan what one batch of one shard will append: pure, so that a test can print it and the shell only carries it out.

Every offset of the batch's range ends as exactly one of: event row, repeat, rejection, record to send on, gap.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple

from meter.allowance import OPENED, Allowance
from meter.floods import cut_original, join_floods
from schemas.codes import CODES
from schemas.records import (
    Accepted,
    OffsetRanges,
    Outcome,
    Parsed,
    Record,
    Rejected,
    Remarked,
    Rerouted,
    count_offsets,
    part,
)
from schemas.rows import Rows, at_places, find_again, is_compiled, types_of, without
from schemas.topics import ACCOUNTS, USAGE

offset_of = attrgetter("offset")
INPUT_TOPICS = (ACCOUNTS, USAGE)  # the order of one batch: a grant that waits beside usage counts before it
# They take back what other events gave, counted or said. From its first one in a batch on, what is said of an account
# is judged one after the other.
CORRECTIONS = frozenset(CODES[type] for type in ("usage.reversed.v1", "credits.revoked.v1", "account.forgotten.v1"))

NOTHING_UNREAD: Final[Mapping[str, Sequence[Rejected]]] = MappingProxyType({})

TopicOffset = tuple[str, int]
Results = Mapping[str, Parsed | Sequence[Outcome]]


class Offsets(NamedTuple):
    """Next offsets to read of a shard's two input partitions."""

    usage: int
    accounts: int

    @classmethod
    def of(cls, by_topic: Mapping[str, int]) -> "Offsets":
        return cls(by_topic[USAGE], by_topic[ACCOUNTS])


class Repeat(NamedTuple):
    """A record whose event is already stored, or stood earlier in the batch; with `offsets` many, of which this is the
    first."""

    topic: str
    offset: int
    event_id: str
    key: bytes
    offsets: OffsetRanges | None = None

    @property
    def records(self) -> int:
        return 1 if self.offsets is None else count_offsets(self.offsets)


class Gap(NamedTuple):
    """Offsets the broker never delivered: [from_offset, to_offset)."""

    topic: str
    from_offset: int
    to_offset: int


class Link(NamedTuple):
    """A stored reversal and the usage it reverses, by their positions."""

    position: int
    reverses: int
    amount: int


class Wait(NamedTuple):
    """A reversal whose usage is not known yet, while there is usage to read. It is tried again behind `usage_ends`, of
    each partition, or behind `usage_end` of its own where there are none."""

    record: Record
    account_id: str
    event_id: str
    reverses: str
    usage_end: int
    usage_ends: tuple[int, ...] = ()


class RemarkRow(NamedTuple):
    """A field that was left out of a stored event of an account."""

    topic: str
    offset: int
    account_id: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class AppendPlan:
    """What to append to one shard in one transaction. Rows are in the order of their positions."""

    shard: int
    recorded_at: datetime
    expected: Offsets
    following: Offsets
    rows: Rows
    derived: frozenset[bytes]  # keys of rows that follow from the record before them (free allowance)
    again: tuple[Accepted, ...]  # of an identity that stood before in the batch; `settle` judges them
    repeats: tuple[Repeat, ...]
    rejections: tuple[Rejected, ...]
    rerouted: tuple[Rerouted, ...]
    gaps: tuple[Gap, ...]
    records: Mapping[str, Sequence[Record]]
    remarked: tuple[Remarked, ...] = ()  # what was left out of records, whatever becomes of their events
    # Of each account its first correction and all that follows, free grants behind their openings; `settle_corrections`
    # judges them.
    corrections: tuple[Accepted, ...] = ()
    usage_end: int = 0  # of the usage partition, asked when the batch was there; 0 where nobody needs to know
    usage_ends: tuple[int, ...] = ()  # of all partitions of usage, while some of it may still come from the others
    links: tuple[Link, ...] = ()
    waiting: tuple[Wait, ...] = ()
    spare: tuple[Accepted, ...] = ()  # free grants of openings in `again`, where one of these becomes a row after all
    moved: tuple[Rerouted, ...] | None = None  # rows of what is sent on, where one stands for many; None: one each
    room: int | None = None  # bytes of evidence that may be kept record by record; None: any
    # Why the database refuses events, as far as it was asked. Only what would become a row is rejected for it.
    faults: Mapping[TopicOffset, str] = field(default_factory=dict)

    def repeated(self) -> int:
        return sum(repeat.records for repeat in self.repeats)

    def rejected_by_reason(self) -> Mapping[str, int]:
        """Records, where one rejection stands for several."""
        counts = Counter[str]()
        for rejected in self.rejections:
            counts[rejected.reason.value] += rejected.records
        return counts

    def gap_offsets(self) -> int:
        return sum(gap.to_offset - gap.from_offset for gap in self.gaps)

    def remarks(self) -> list[RemarkRow]:
        """What was left out of the events of accounts that are stored; of usage, which is much, it is only counted."""
        stored = {row.offset for row in self.rows if row.topic == ACCOUNTS} if self.remarked else frozenset()
        return [
            RemarkRow(event.topic, event.offset, event.account_id, remark.field, remark.reason)
            for event, remarks in self.remarked
            for remark in remarks
            if event.topic == ACCOUNTS and event.offset in stored
        ]

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
    unread: Mapping[str, Sequence[Rejected]] = NOTHING_UNREAD,
    usage_end: int = 0,
    usage_ends: tuple[int, ...] = (),
    room: int | None = None,
) -> AppendPlan:
    """Sort what parsing made of a batch into rows, corrections, repeats, rejections, records to send on and gaps.

    `results[topic]` is of `records[topic]`, parted or one by one; `unread` has what no client could read between them;
    `start` and `end` are the next offsets before and after; `usage_end` is what the broker has of usage, `usage_ends`
    of each partition while some of it may still come; `room` the bytes of evidence that the shard may keep record by
    record.
    """
    of_accounts, usage = (as_parted(results.get(topic, ())) for topic in INPUT_TOPICS)
    before, corrections = split_at_first(of_accounts.events, CORRECTIONS)
    others = [*of_accounts.others, *usage.others]
    accepted: Rows = usage.events
    if of_accounts.events:
        accepted = [*before, *usage.events]
    rows, derived, again, spare = split_repeats(accepted, allowance)
    free = [grant for event in corrections if event.type == OPENED for grant in allowance.grants_for(event)]
    return AppendPlan(
        shard=shard,
        recorded_at=recorded_at,
        expected=Offsets.of(start),
        following=Offsets.of(end),
        rows=rows,
        derived=frozenset((*derived, *(grant.key for grant in (*free, *spare)))),
        again=tuple(again),
        spare=tuple(spare),
        repeats=(),
        rejections=tuple(
            join_floods(
                [
                    *(cut_original(result) for result in others if type(result) is Rejected),
                    *(bad for found in unread.values() for bad in found),
                ]
            )
        ),
        rerouted=tuple(result for result in others if type(result) is Rerouted),
        gaps=tuple(
            gap
            for topic in INPUT_TOPICS
            for gap in find_gaps(topic, records.get(topic, ()), start[topic], end[topic], unread.get(topic, ()))
        ),
        records=records,
        remarked=tuple(result for result in others if type(result) is Remarked),
        corrections=tuple(sorted((*corrections, *free), key=offset_of)),  # stable: behind the opening they are of
        usage_end=usage_end,
        usage_ends=usage_ends,
        room=room,
    )


def as_parted(results: Parsed | Sequence[Outcome]) -> Parsed:
    if isinstance(results, Parsed):
        return results
    return part(results)


def split_at_first(events: Rows, types: Set[int]) -> tuple[list[Accepted], list[Accepted]]:
    """Events that stand before the first event of their account of one of these types, and those from there on."""
    met: set[str] = set()
    before: list[Accepted] = []
    following: list[Accepted] = []
    for event in events:
        if event.type in types:
            met.add(event.account_id)
        (following if event.account_id in met else before).append(event)
    return before, following


def split_repeats(accepted: Rows, allowance: Allowance) -> tuple[Rows, list[bytes], list[Accepted], list[Accepted]]:
    """Rows, keys of derived rows, events whose identity stood before in the batch, and the free grants of openings
    among these; each in order."""
    if OPENED not in types_of(accepted):
        places = find_again(accepted)
        kept = without(accepted, places)
        return kept if is_compiled(kept) else tuple(kept), [], at_places(accepted, places), []
    seen: set[bytes] = set()
    rows: list[Accepted] = []
    derived: list[bytes] = []
    again: list[Accepted] = []
    spare: list[Accepted] = []
    for event in accepted:
        if event.key in seen:
            again.append(event)
            spare += allowance.grants_for(event) if event.type == OPENED else ()
            continue
        seen.add(event.key)
        rows.append(event)
        for grant in allowance.grants_for(event) if event.type == OPENED else ():
            if grant.key not in seen:
                seen.add(grant.key)
                rows.append(grant)
                derived.append(grant.key)
    return tuple(rows), derived, again, spare


def find_record(records: Mapping[str, Sequence[Record]], at: TopicOffset) -> Record:
    """The record at an offset. Offsets of a topic ascend; a batch may ask thousands of times."""
    topic, offset = at
    return records[topic][bisect_left(records[topic], offset, key=offset_of)]


def find_gaps(
    topic: str, records: Sequence[Record], start: int, end: int, unread: Sequence[Rejected] = ()
) -> Iterator[Gap]:
    """Offsets of [start, end) that nothing has: transaction markers, or records gone by retention."""
    if len(records) == end - start:  # offsets ascend without repeats: as many records as offsets, no gap
        return
    spans = ((record.offset, record.offset + 1) for record in records)
    expected = start
    for begin, beyond in merge(spans, ((rejected.record.offset, rejected.beyond) for rejected in unread)):
        if begin > expected:
            yield Gap(topic, expected, begin)
        expected = beyond
    if end > expected:
        yield Gap(topic, expected, end)
