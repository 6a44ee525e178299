"""Neighbouring records without an event become one rejection. Pure."""

from collections.abc import Sequence

from schemas.records import Rejected


def join_floods(rejections: Sequence[Rejected]) -> list[Rejected]:
    """Neighbours of one reason that no replay can help become one rejection, with the bytes of the first.

    82 kB of empty records would otherwise become 20 MB of rows.
    """
    joined: list[list[Rejected]] = []
    for rejected in sorted(rejections, key=place_of):
        if joined and is_flood(joined[-1][-1], rejected):
            joined[-1].append(rejected)
        else:
            joined.append([rejected])
    return [join(group) for group in joined]


def place_of(rejected: Rejected) -> tuple[str, int]:
    return rejected.record.topic, rejected.record.offset


def is_flood(before: Rejected, rejected: Rejected) -> bool:
    if not rejected.reason.is_final or rejected.reason is not before.reason:
        return False
    return (before.record.topic, before.beyond) == place_of(rejected)


def join(group: Sequence[Rejected]) -> Rejected:
    first, last = group[0], group[-1]
    if first is last:
        return first
    count = last.beyond - first.record.offset
    return first._replace(detail=f"{count} records; of the first: {first.detail}", to_offset=last.beyond)
