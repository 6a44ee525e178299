"""Neighbouring records without an event become one rejection, and of a large one the beginning is kept. Pure."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from schemas.records import MAX_EVENT_BYTES, Rejected

# An account id has 128 characters at most: a longer key is no event's.
KEPT_KEY_BYTES: Final = 1024


def cut_original(rejected: Rejected) -> Rejected:
    """At most 64 KiB of an original, with length and digest of the whole: of its key, its value, and its headers' names
    and values, one after the other. Nothing that may be an event is cut."""
    record = rejected.record
    if rejected.length is not None or not is_large(rejected):
        return rejected
    parts = [record.key or b"", record.value or b""]
    for name, content in record.headers:
        parts += [name.encode("utf-8", "surrogatepass"), content or b""]
    whole = b"".join(parts)
    key = None if record.key is None else record.key[:KEPT_KEY_BYTES]
    value = None if record.value is None else record.value[: MAX_EVENT_BYTES - KEPT_KEY_BYTES]
    headers, left = [], MAX_EVENT_BYTES - len(key or b"") - len(value or b"")
    for header in record.headers:
        left -= len(header[0]) + len(header[1] or b"")
        if left < 0:
            break
        headers.append(header)
    kept = record._replace(key=key, value=value, headers=tuple(headers))
    return rejected._replace(record=kept, length=len(whole), digest=sha256(whole).digest())


def is_large(rejected: Rejected) -> bool:
    record = rejected.record
    size = len(record.value or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
    return size > MAX_EVENT_BYTES or len(record.key or b"") > KEPT_KEY_BYTES


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
