"""Neighbouring records without an event become one rejection, and of a large one the beginning is kept. Pure."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from schemas.records import MAX_EVENT_BYTES, Rejected

# An account id has 128 characters at most: a longer key is no event's.
KEPT_KEY_BYTES: Final = 1024
KEPT_NAME_BYTES: Final = 256  # of the name of a header that is too large


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
    headers = cut_headers(record.headers, MAX_EVENT_BYTES - len(key or b"") - len(value or b""))
    kept = record._replace(key=key, value=value, headers=headers)
    return rejected._replace(record=kept, length=len(whole), digest=sha256(whole).digest())


def cut_headers(headers: Sequence[tuple[str, bytes]], room: int) -> tuple[tuple[str, bytes], ...]:
    """Those that fit, then name and beginning of the first that does not: by these its sender is found."""
    kept: list[tuple[str, bytes]] = []
    for name, content in headers:
        named = name.encode("utf-8", "surrogatepass")
        size = len(named) + len(content or b"")
        if size > room:
            short = named[: min(room, KEPT_NAME_BYTES)].decode("utf-8", "ignore")
            kept.append((short, (content or b"")[: room - len(short.encode())]))
            break
        kept.append((name, content))
        room -= size
    return tuple(kept)


def is_large(rejected: Rejected) -> bool:
    record = rejected.record
    names = sum(len(name.encode("utf-8", "surrogatepass")) for name, _content in record.headers)
    size = names + len(record.value or b"") + sum(len(content or b"") for _name, content in record.headers)
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
