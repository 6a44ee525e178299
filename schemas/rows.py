"""Many events at once: the same questions to a tuple of them and to what the compiled part keeps of those it read.

A compiled sequence (`schemas/native`, `UsageRows`) makes an event when somebody looks at it; these functions do not.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from schemas.records import Accepted

Rows = Sequence[Accepted]

_key_of, _type_of = attrgetter("key"), attrgetter("type")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def is_compiled(rows: Rows) -> bool:
    return not isinstance(rows, tuple | list)


def keys_of(rows: Rows) -> bytes:
    """The keys of all rows, joined."""
    if is_compiled(rows):
        return bytes(_compiled(rows).keys())
    return b"".join(map(_key_of, rows))


def types_of(rows: Rows) -> set[int]:
    """Codes of the types that there are."""
    return set(_compiled(rows).types()) if is_compiled(rows) else set(map(_type_of, rows))


def find_keys(rows: Rows, keys: Collection[bytes]) -> list[int]:
    """Places of the rows with one of these keys."""
    if not keys:
        return []
    if is_compiled(rows):
        return list(_compiled(rows).find(set(keys)))
    return [at for at, key in enumerate(map(_key_of, rows)) if key in keys]


def find_again(rows: Rows) -> list[int]:
    """Places of the rows whose key a row before them has."""
    if is_compiled(rows):
        return list(_compiled(rows).again())
    if len(set(map(_key_of, rows))) == len(rows):
        return []
    seen: set[bytes] = set()
    again = []
    for at, key in enumerate(map(_key_of, rows)):
        if key in seen:
            again.append(at)
        seen.add(key)
    return again


def at_places(rows: Rows, places: Iterable[int]) -> list[Accepted]:
    return [rows[at] for at in places]


def without(rows: Rows, places: Collection[int]) -> Rows:
    """The rows but those at these places, which ascend."""
    if not places:
        return rows
    if is_compiled(rows):
        kept: Rows = _compiled(rows).without(list(places))
        return kept
    left_out = set(places)
    return tuple(row for at, row in enumerate(rows) if at not in left_out)


def seconds_since(rows: Rows, now: datetime) -> list[float]:
    """For how long each has happened, in seconds."""
    if is_compiled(rows):
        waited: list[float] = _compiled(rows).waited((now - _EPOCH) // _MICROSECOND)
        for at in (at for at, seconds in enumerate(waited) if seconds is None):  # those that Python has read
            waited[at] = (now - rows[at].occurred_at).total_seconds()
        return waited
    return [(now - row.occurred_at).total_seconds() for row in rows]


def _compiled(rows: Rows) -> Any:
    return rows
