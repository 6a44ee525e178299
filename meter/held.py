"""When a reversal that waits is sent again, and what it still waits for. Pure.

The usage it names may be in any partition: in its own, where services that hash as Java's client does write it, or
in another, from where it is sent on. What was there when the reversal came is here once

1. every partition is stored up to the end that it had then,
2. what of that was to be sent on to this partition has been sent, and
3. this partition is stored up to the end that it has after that.

The first two are one wait, the third is another. The header of the record that is sent again says which are over, so
each is waited for once, however much usage keeps coming.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from meter.runtime.stretch import Stretch
from schemas.records import Record
from schemas.topics import WAITED_HEADER

SHOWN_SHARDS: Final = 3


class Seen(StrEnum):
    """What of the usage that was there is known to be stored when a reversal is judged."""

    NOTHING = ""
    OTHERS = "others"  # that of the other partitions: stored, or sent on to its own
    ALL = "all"


class Held(NamedTuple):
    """A reversal in the outbox. `usage_ends` has the end of each partition; (): only its own, `usage_end`, is waited
    for; None: a meter of the version before let it wait."""

    shard: int
    kafka_offset: int
    usage_end: int
    usage_ends: Sequence[int] | None
    is_overdue: bool


class Due(NamedTuple):
    shard: int
    kafka_offset: int
    seen: Seen


UsageOffsets = Mapping[int, int]  # the next offset of usage to store, by partition
Unsent = Mapping[tuple[int, int], int]  # by partition and the one it is sent on to: the first offset that is not sent


def origin_text(shard: int, offset: int, seen: Seen) -> str:
    """The value of the header: `3/42`, or `3/42/others`."""
    return "/".join([str(shard), str(offset), *([seen.value] if seen else [])])


def seen_of(record: Record) -> Seen:
    """What a record that was sent again says of itself; anything else in its place says nothing."""
    value = next((value for name, value in record.headers if name == WAITED_HEADER), None) or b""
    last = value.rpartition(b"/")[2].decode("ascii", "replace")
    return Seen(last) if last in set(Seen) else Seen.NOTHING


def is_read(usage_ends: Sequence[int], offsets: UsageOffsets) -> bool:
    return not left_to_read(usage_ends, offsets)


def left_to_read(usage_ends: Sequence[int], offsets: UsageOffsets) -> dict[int, int]:
    """How many offsets of each partition are not stored yet. One without a cursor is not read at all."""
    left = {partition: end - offsets.get(partition, 0) for partition, end in enumerate(usage_ends)}
    return {partition: count for partition, count in left.items() if count > 0}


def is_sent_on(shard: int, usage_ends: Sequence[int], unsent: Unsent) -> bool:
    """Whether everything that was to come to this shard has been sent to it."""
    return all(unsent.get((partition, shard), end) >= end for partition, end in enumerate(usage_ends))


def find_read(held: Iterable[Held], offsets: UsageOffsets) -> list[Held]:
    """Those for which every partition is read: of these it must be asked what is still to be sent on."""
    return [each for each in held if each.usage_ends and is_read(each.usage_ends, offsets)]


def find_due(held: Iterable[Held], offsets: UsageOffsets, unsent: Unsent) -> list[Due]:
    """Those to be sent again now. `unsent` must have been asked after `offsets`: a record to be sent on stands there
    before its offset is passed."""
    found = []
    for each in held:
        at = each.shard, each.kafka_offset
        if each.usage_ends:
            if is_read(each.usage_ends, offsets) and is_sent_on(each.shard, each.usage_ends, unsent):
                found.append(Due(*at, Seen.OTHERS))
        elif offsets.get(each.shard, 0) >= each.usage_end:
            found.append(Due(*at, Seen.NOTHING if each.usage_ends is None else Seen.ALL))
        elif each.is_overdue:
            found.append(Due(*at, Seen.NOTHING))
    return found


def find_left(held: Iterable[Held], offsets: UsageOffsets) -> dict[int, Stretch]:
    """What of each partition is waited for: from its next offset to the furthest end."""
    ends: dict[int, int] = {}
    for each in held:
        for partition, count in left_of(each, offsets).items():
            ends[partition] = max(ends.get(partition, 0), offsets.get(partition, 0) + count)
    return {partition: Stretch(offsets.get(partition, 0), end) for partition, end in ends.items()}


def describe_wait(held: Held, offsets: UsageOffsets, unsent: Unsent) -> str:
    """`usage of shards 1, 2`, as a cell of a table."""
    left = left_of(held, offsets)
    if left:
        names = ", ".join(map(str, list(left)[:SHOWN_SHARDS]))
        more = f" and {len(left) - SHOWN_SHARDS} more" if len(left) > SHOWN_SHARDS else ""
        return f"usage of shard{'' if len(left) == 1 else 's'} {names}{more} to be read"
    if held.usage_ends and not is_sent_on(held.shard, held.usage_ends, unsent):
        return "usage to be sent on to its shard"
    return "its turn to be sent again"


def left_of(held: Held, offsets: UsageOffsets) -> dict[int, int]:
    """How many offsets of each partition it waits for."""
    return left_to_read(held.usage_ends, offsets) if held.usage_ends else left_of_own(held, offsets)


def left_of_own(held: Held, offsets: UsageOffsets) -> dict[int, int]:
    left = held.usage_end - offsets.get(held.shard, 0)
    return {held.shard: left} if left > 0 else {}


def count_left(held: Held, offsets: UsageOffsets) -> int:
    """Offsets of usage that are to be stored before it is judged again."""
    return sum(left_of(held, offsets).values())
