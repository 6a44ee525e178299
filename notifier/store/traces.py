"""Which producer's span each balance's line follows from, in Postgres. Written only while traces are on."""

from collections.abc import Sequence
from typing import Any

from meter.runtime.postgres import Pool, load_sql, note_failure, transpose
from meter.runtime.tracing import read_traceparent
from notifier.model import LineTrace

PACKAGE = "notifier"


class PostgresLineTraces:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, shard: int, account_id: str) -> list[LineTrace]:
        try:
            rows = await self._pool.fetch(load_sql(PACKAGE, "fetch_line_traces"), shard, account_id)
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        return [trace for row in rows if (trace := read_trace(row)) is not None]


def read_trace(row: Any) -> LineTrace | None:
    parent = read_traceparent(row["traceparent"])
    if parent is None:
        return None
    return LineTrace(row["shard"], row["account_id"], row["resource"], row["epoch"], row["line"], parent)


def trace_columns(traces: Sequence[LineTrace]) -> tuple[list[Any], ...]:
    """The last of each balance: one statement writes a row once."""
    last = {(t.account_id, t.resource): t for t in traces}
    rows = [(t.shard, t.account_id, t.resource, t.epoch, t.line, str(t.parent)) for t in last.values()]
    return transpose(rows, 6)
