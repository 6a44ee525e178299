"""The short cut of `parse` as machine code, where it is installed (`make native`): `schemas/native`.

It accepts an event exactly as `reference_reader` does or leaves it to the Python readers. Bounds and codes are handed
over from here, so each stands in one place. Without it everything works the same, slower.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any, Final, NamedTuple

from schemas.compiled import NATIVE
from schemas.identity import MAX_ID_CHARS, MAX_SOURCE_CHARS, OWN_SOURCE
from schemas.limits import CATEGORIES, MAX_NAME_CHARS, MAX_RUNS, MAX_TOKENS
from schemas.parsing.envelope import MAX_ACCOUNT_CHARS
from schemas.parsing.pattern_reader import HEADER_BYTES, KINDS, STRUCTURED, times_of
from schemas.records import Accepted, Limits, Record
from schemas.resources import RESOURCE_CODES, Resource
from schemas.rows import Rows
from schemas.topics import USAGE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_CREDITS: Final = RESOURCE_CODES[Resource.MODEL_CREDITS]
# Code, code of the resource, whether it costs credits, field of the name; by type.
_KINDS: Final[Mapping[str, tuple[int, int, bool, str]]] = {
    type: (code, resource, resource == _CREDITS, field) for type, (code, resource, field) in KINDS.items()
}


class _Bounds(NamedTuple):
    account_chars: int = MAX_ACCOUNT_CHARS
    id_chars: int = MAX_ID_CHARS
    source_chars: int = MAX_SOURCE_CHARS
    name_chars: int = MAX_NAME_CHARS
    tokens: int = MAX_TOKENS
    runs: int = MAX_RUNS


class _Limits(NamedTuple):
    """Times in microseconds since 1970, amounts in micro-units."""

    earliest: int
    latest: int
    value_bytes: int
    credits: int
    runs: int


def read_compiled(records: Sequence[Record], now: datetime, limits: Limits) -> Sequence[Accepted | None] | None:
    """For each record the event, or None where another reader has to judge; None where nothing is compiled."""
    if NATIVE.module is None:
        return None
    try:
        found: Sequence[Accepted | None] = _reader_of(NATIVE.module, limits.partitions).read(
            records, _limits_of(now, limits)
        )
    except Exception:  # limits beyond what it counts in, or a fault of its own: the others read everything
        return None
    return found


def read_rows_compiled(
    records: Sequence[Record], now: datetime, limits: Limits, judge: Callable[[Record], Accepted | None]
) -> Rows | None:
    """The events among the records, in their order; None where nothing is compiled.

    `judge` reads the records that it leaves to others, in their order: the event, or None where there is none.
    """
    if NATIVE.module is None:
        return None
    try:
        found: Rows = _reader_of(NATIVE.module, limits.partitions).read_rows(records, _limits_of(now, limits), judge)
    except Exception:  # as above
        return None
    return found


def _limits_of(now: datetime, limits: Limits) -> _Limits:
    earliest, latest = times_of(now, limits)
    return _Limits(
        (earliest - _EPOCH) // _MICROSECOND,
        (latest - _EPOCH) // _MICROSECOND,
        max(0, limits.max_bytes - HEADER_BYTES),
        limits.max_credits,
        limits.max_runs,
    )


@lru_cache(4)
def _reader_of(module: ModuleType, partitions: int) -> Any:
    return module.Reader(
        topic=USAGE,
        media=[media for _, media in STRUCTURED],
        kinds=_KINDS,
        categories=CATEGORIES,
        bounds=_Bounds(),
        partitions=partitions,
        own_source=OWN_SOURCE,
        read_time=datetime.fromisoformat,
        accepted=Accepted,
    )
