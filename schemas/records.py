"""What parsing takes and gives. Tuples, because they are the cheapest immutable values to make."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from schemas.amounts import MAX_USAGE
from schemas.reasons import Reason

MAX_EVENT_BYTES: Final = 65_536


class Record(NamedTuple):
    """A Kafka record. `topic` is the logical name of `schemas.topics`, without a prefix."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Accepted(NamedTuple):
    """An event that keeps the contract, ready to be stored."""

    topic: str
    offset: int
    event_id: str  # as sent; a UUID in lower case
    account_id: str
    type: int  # code of meter.event_types
    resource: int | None  # code of meter.resources; None where the type moves no credits
    amount: int  # micro-units; 0 where the type moves no credits
    name: str  # model, guardrail, script, tool, plan, grant reason or reversal reason
    occurred_at: datetime  # aware, UTC
    source: str
    data: str  # JSON text of the CloudEvents data, as sent
    extensions: str | None  # JSON object text of further CloudEvents attributes, as sent
    key: bytes  # of topic, account, source and id: `schemas.identity.identity_key`


# Ranges [from, to), ascending, without neighbours that touch.
OffsetRanges = tuple[tuple[int, int], ...]


def count_offsets(offsets: OffsetRanges) -> int:
    return sum(to - begin for begin, to in offsets)


class Rejected(NamedTuple):
    """A record that breaks the contract; `detail` is for people and bounded in length.

    One rejection may stand for several records: of all offsets from `record.offset` up to `to_offset`. Where `record`
    has only the beginning of what was sent, `length` and `digest` (SHA-256) are those of the whole. With `offsets` it
    stands for these alone, and the value of `record` is theirs, packed.
    """

    record: Record
    reason: Reason
    detail: str
    to_offset: int | None = None
    length: int | None = None
    digest: bytes | None = None
    offsets: OffsetRanges | None = None

    @property
    def records(self) -> int:
        """How many it stands for."""
        return self.beyond - self.record.offset if self.offsets is None else count_offsets(self.offsets)

    @property
    def beyond(self) -> int:
        """The first offset behind it."""
        return self.record.offset + 1 if self.to_offset is None else self.to_offset


class Rerouted(NamedTuple):
    """A record whose only fault is its partition; `partition` is where it belongs. With `offsets` it is the first of
    many of one account and source."""

    record: Record
    partition: int
    account_id: str
    source: str
    offsets: OffsetRanges | None = None


class Remark(NamedTuple):
    """A field of an event that was left out, or a part of one; the reason is for people and shows no personal data."""

    field: str  # like `status` or `contacts[3]`
    reason: str


def place_of(field: str) -> str:
    """A field for people: `contact 4` for `contacts[3]`, which counts from 0."""
    name, bracket, number = field.removesuffix("]").rpartition("[")
    return f"{name.removesuffix('s')} {int(number) + 1}" if bracket and number.isdigit() else field


class Remarked(NamedTuple):
    """An event that keeps the contract but for some fields that were left out."""

    event: Accepted
    remarks: tuple[Remark, ...]


Outcome = Accepted | Remarked | Rejected | Rerouted


def event_of(result: Outcome) -> Accepted | None:
    if isinstance(result, Remarked):
        return result.event
    return result if isinstance(result, Accepted) else None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of records: the events that keep the contract, in the order of the records, and the outcomes of all
    records but those that are Accepted: of a Remarked one the event stands among the events as well."""

    events: Sequence[Accepted]
    others: Sequence[Outcome]


def part(outcomes: Sequence[Outcome]) -> Parsed:
    """Those of every record, in the order of the records."""
    events = [outcome for outcome in outcomes if type(outcome) is Accepted]
    if len(events) == len(outcomes):
        return Parsed(events, [])
    others = [outcome for outcome in outcomes if type(outcome) is not Accepted]
    if Remarked in set(map(type, others)):
        events = [event for event in map(event_of, outcomes) if event is not None]
    return Parsed(events, others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`partitions` of the topics; `max_ahead` and `max_behind` of the meter's clock; `max_bytes` of value and headers
    together; `max_credits` and `max_runs` of one usage event, in micro-units; of each source that may report usage the
    accounts that it may charge, or None where any may charge any."""

    partitions: int
    max_ahead: timedelta = timedelta(hours=1)
    max_behind: timedelta = timedelta(days=400)
    max_bytes: int = MAX_EVENT_BYTES
    max_credits: int = MAX_USAGE
    max_runs: int = MAX_USAGE
    sources: Mapping[str, re.Pattern[str]] | None = None
