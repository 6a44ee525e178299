"""Columns of what did not become events: duplicates, rejections, gaps, records to send on. Pure; each value fits."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from meter.runtime.postgres import transpose
from schemas.records import OffsetRanges, Record, Rejected, Rerouted

if TYPE_CHECKING:
    from meter.plan import Gap, Repeat, Wait

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
MAX_DETAIL_CHARS = 2000

Columns = tuple[list[object], ...]


def duplicate_rows(repeats: Iterable[Repeat]) -> list[tuple[object, ...]]:
    return [(*repeat[:3], range_text(repeat.offsets)) for repeat in repeats]


def gap_columns(gaps: Iterable[Gap]) -> Columns:
    return transpose(list(gaps), 3)


def rejection_columns(rejections: Iterable[Rejected]) -> Columns:
    rows = [
        (
            rejected.record.topic,
            rejected.record.offset,
            rejected.reason.value,
            storable_text(rejected.detail)[:MAX_DETAIL_CHARS],
            rejected.record.key,
            rejected.record.value,
            encode_headers(rejected.record.headers),
            record_time(rejected.record),
            rejected.to_offset,
            rejected.length,
            rejected.digest,
            range_text(rejected.offsets),
        )
        for rejected in rejections
    ]
    return transpose(rows, 12)


def range_text(offsets: OffsetRanges | None) -> str | None:
    """Postgres's text of a multirange."""
    return None if offsets is None else "{" + ",".join(f"[{begin},{to})" for begin, to in offsets) + "}"


def moved_columns(moved: Iterable[Rerouted]) -> Columns:
    rows = [
        (
            each.record.topic,
            each.record.offset,
            each.partition,
            each.account_id,
            storable_text(each.source),
            range_text(each.offsets),
        )
        for each in moved
    ]
    return transpose(rows, 6)


def rerouted_columns(rerouted: Iterable[Rerouted]) -> Columns:
    """What is sent on."""
    rows = [
        (
            moved.record.topic,
            moved.record.offset,
            moved.partition,
            moved.record.key,
            moved.record.value,
            pack_headers(moved.record.headers),
            moved.record.timestamp_ms,
        )
        for moved in rerouted
    ]
    return transpose(rows, 7)


def waiting_columns(waiting: Iterable[Wait]) -> Columns:
    rows = [
        (
            wait.record.topic,
            wait.record.offset,
            wait.account_id,
            wait.event_id,
            wait.reverses,
            wait.usage_end,
            wait.record.key,
            wait.record.value,
            pack_headers(wait.record.headers),
            wait.record.timestamp_ms,
            "{" + ",".join(map(str, wait.usage_ends)) + "}",
        )
        for wait in waiting
    ]
    return transpose(rows, 11)


def record_time(record: Record) -> datetime | None:
    """Kafka's timestamp, set by any producer: -1 and nonsense become None."""
    if 0 <= record.timestamp_ms <= _LAST_MS:
        return _EPOCH + timedelta(milliseconds=record.timestamp_ms)
    return None


def storable_text(text: str) -> str:
    """Postgres text has neither NUL nor lone surrogates: show them as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def encode_headers(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """JSON list of [name, base64 value or null], in order; for jsonb, so a name may be changed by `storable_text`."""
    return pack_headers([(storable_text(name), value) for name, value in headers])


def pack_headers(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """The same in ASCII with each name as it was: for a column of text, to be sent again."""
    return json.dumps([[name, None if v is None else base64.b64encode(v).decode("ascii")] for name, v in headers])


def decode_headers(text: str) -> list[tuple[str, bytes | None]]:
    return [(name, None if v is None else base64.b64decode(v)) for name, v in json.loads(text)]
