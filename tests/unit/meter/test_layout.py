"""The bytes of rows. That they are what Postgres makes is tested on Postgres (integration/test_meter_store.py)."""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from meter.store import layout
from meter.store.layout import (
    COPY_HEADER,
    COPY_TRAILER,
    EVENT_COLUMNS,
    GENESIS,
    BatchHeader,
    UnstorableError,
    chain_hash,
    encode_rows,
    mark_row,
    rows_of,
    to_micros,
)
from schemas.compiled import NATIVE, find_module
from schemas.records import Accepted
from tests.contract.rows import MOMENT, usage

HEADER = BatchHeader(0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, MOMENT, b"")


def read_copy(stream: bytes) -> list[list[bytes | None]]:
    """Read a binary COPY stream back by its documented format."""
    assert stream.startswith(COPY_HEADER) and stream.endswith(COPY_TRAILER)
    rows, at = [], len(COPY_HEADER)
    while (count := struct.unpack_from("!h", stream, at)[0]) != -1:
        at += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            size = struct.unpack_from("!i", stream, at)[0]
            at += 4
            fields.append(None if size == -1 else stream[at : at + size])
            at += max(size, 0)
        rows.append(fields)
    return rows


def test_rows_read_back_as_they_went_in() -> None:
    row = usage(42, extensions='{"a":1}', name="模型", resource=None)
    fields = dict(zip(EVENT_COLUMNS, read_copy(encode_rows([row], 5, 9, MOMENT))[0], strict=True))
    micros = struct.pack("!q", to_micros(MOMENT))
    assert fields == {
        "position": struct.pack("!q", 9), "amount": struct.pack("!q", 250_000), "kafka_offset": struct.pack("!q", 42),
        "occurred_at": micros, "recorded_at": micros, "event_id": None,
        "shard": struct.pack("!i", 5), "type": struct.pack("!h", 1), "resource": None, "account_id": b"acc-1",
        "name": "模型".encode(), "source": b"/example/gateway", "data": row.data.encode(), "extensions": b'{"a":1}',
        "id": None, "event_key": row.key,
    }  # fmt: skip


def test_positions_count_up() -> None:
    rows = read_copy(encode_rows([usage(i) for i in range(3)], 0, 7, MOMENT))
    assert [row[0] for row in rows] == [struct.pack("!q", position) for position in (7, 8, 9)]


def test_the_chain_covers_what_is_copied_and_a_row_begins_with_its_mark() -> None:
    stream = encode_rows([usage(0), usage(1)], 0, 7, MOMENT)
    rows = bytes(rows_of(stream))
    assert stream == COPY_HEADER + rows + COPY_TRAILER
    assert rows.startswith(mark_row(7)) and rows.count(mark_row(8)) == 1


def test_no_rows_are_an_empty_stream() -> None:
    assert encode_rows([], 0, 1, MOMENT) == COPY_HEADER + COPY_TRAILER


@pytest.mark.parametrize(
    "changes",
    [{"name": "\ud800"}, {"amount": 2**63}, {"event_id": "\ud800", "key": bytes(32)}],
    ids=["surrogate", "amount", "id"],
)
def test_what_has_no_bytes_is_unstorable(changes: dict[str, object]) -> None:
    with pytest.raises(UnstorableError):
        encode_rows([usage(0, **changes)], 0, 1, MOMENT)


@pytest.mark.parametrize(
    "moment",
    [datetime(1970, 1, 1, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), MOMENT],
)
def test_times_are_whole_microseconds_since_2000(moment: datetime) -> None:
    row = read_copy(encode_rows([usage(0, occurred_at=moment)], 0, 1, MOMENT))[0]
    expected = round((moment - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    assert struct.unpack("!q", row[3] or b"")[0] == to_micros(moment) == expected


def test_the_hash_depends_on_every_column() -> None:
    row = usage(0, extensions="{}")
    base = chain_hash(GENESIS, HEADER, rows_of(encode_rows([row], 0, 1, MOMENT)))
    changes: list[dict[str, object]] = [
        {"offset": 1}, {"event_id": "one", "key": bytes(32)}, {"event_id": "another", "key": bytes(32)},
        {"key": bytes([1] * 32)}, {"account_id": "b"}, {"type": 2}, {"resource": 2}, {"amount": 1}, {"name": "b"},
        {"occurred_at": MOMENT.replace(microsecond=0)}, {"source": "b"}, {"data": "{}"}, {"extensions": None},
    ]  # fmt: skip
    hashes = {chain_hash(GENESIS, HEADER, rows_of(encode_rows([row._replace(**c)], 0, 1, MOMENT))) for c in changes}  # type: ignore[arg-type]
    assert len(hashes | {base}) == len(changes) + 1


def test_the_hash_depends_on_the_batch_and_on_what_came_before() -> None:
    records = rows_of(encode_rows([usage(0)], 0, 1, MOMENT))
    numbers = set(BatchHeader._fields) - {"recorded_at", "evidence"}
    headers = [HEADER._replace(**{name: 5}) for name in numbers]  # type: ignore[arg-type]
    headers += [HEADER._replace(recorded_at=MOMENT.replace(microsecond=0)), HEADER._replace(evidence=b"\x01")]
    hashes = {chain_hash(GENESIS, header, records) for header in [HEADER, *headers]}
    assert len(hashes | {chain_hash(b"\x01" * 32, HEADER, records)}) == len(headers) + 2


def test_a_text_cannot_pass_for_two() -> None:
    """Lengths are hashed: moving a character from one column to the next changes the hash."""
    one = rows_of(encode_rows([usage(0, name="ab", source="c", event_id="0", key=bytes(32))], 0, 1, MOMENT))
    two = rows_of(encode_rows([usage(0, name="a", source="bc", event_id="0", key=bytes(32))], 0, 1, MOMENT))
    assert one != two


HOSTILE: list[dict[str, Any]] = [
    {"name": "模型", "extensions": '{"a":"é"}'}, {"name": ""}, {"data": "x" * 70_000}, {"resource": None},
    {"amount": 2**63 - 1},
    {"amount": 0, "offset": 2**63 - 1}, {"event_id": "order 7", "key": bytes(32)},
    {"key": bytes(5) + b"\x01" + bytes(26)},
    {"key": bytes(6) + b"\xff" * 26}, {"occurred_at": datetime(1, 1, 1, tzinfo=UTC)},
    {"occurred_at": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)},
    {"occurred_at": datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))},
    {"name": "\ud800"}, {"source": "\ud800"}, {"amount": 2**63}, {"amount": -(2**63) - 1}, {"offset": 2**70},
    {"type": 40_000}, {"resource": -40_000}, {"type": -1},
]  # fmt: skip


def outcome_of(encode: Callable[..., Any], rows: Sequence[Accepted], shard: int, position: int) -> Any:
    try:
        return encode(rows, shard, position, MOMENT)
    except UnstorableError:
        return UnstorableError


@pytest.mark.skipif(find_module() is None, reason="the compiled encoder is not installed: make native")
@pytest.mark.parametrize("changes", HOSTILE)
@pytest.mark.parametrize(("shard", "position"), [(0, 1), (2**31 - 1, 2**63 - 1)])
def test_the_compiled_encoder_writes_the_same_bytes(
    changes: dict[str, Any], shard: int, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [usage(7), usage(8)._replace(**changes)][: 1 if position > 1 else 2]
    compiled = layout._encode_compiled(rows, shard, position, MOMENT)
    whole = outcome_of(encode_rows, rows, shard, position)
    monkeypatch.setattr(NATIVE, "module", None)
    assert layout._encode_compiled(rows, shard, position, MOMENT) is None
    written = outcome_of(encode_rows, rows, shard, position)
    assert whole == written
    assert compiled in (None, written)
    assert compiled is not None or written is UnstorableError


def test_texts_that_are_kept_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NATIVE, "module", None)
    monkeypatch.setattr(layout, "MAX_TEXTS", 10)
    rows = [usage(i, account_id=f"acc-{i}", source=f"/{i}") for i in range(50)]
    fields = read_copy(encode_rows(rows, 0, 1, MOMENT))
    assert [row[9] for row in fields] == [f"acc-{i}".encode() for i in range(50)]
    assert len(layout._texts) <= 10
