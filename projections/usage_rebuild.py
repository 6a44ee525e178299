"""Usage computed again from the log, one shard at a time, beside the service.

The slots are collected by the statement that folds them, range by range. Then the shard's cursor of usage is held: the
last events are collected, the names that a day has no room for are put together, and the rows that differ are
exchanged, days and items after the slots they follow from.
Meanwhile usage of the shard stands still; its balances go on.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from meter.runtime.postgres import Executor
from projections.plan import PositionRange
from projections.sealed import fetch_opened_items
from projections.store import check_log, sql
from projections.store_usage import fold_ranges

# In this order: days are counted from slots, in the zones, and months from days.
EXCHANGES: Final = (
    "replace_slots", "replace_zones", "replace_days", "replace_months", "replace_day_kinds", "replace_used_items",
    "replace_names",
)  # fmt: skip


class Changes(NamedTuple):
    """All `rows` after the exchange, and the numbers of rows that differed."""

    rows: int
    added: int
    changed: int
    removed: int


class UsageRebuild:
    def __init__(self, shard: int, progress: Callable[[int], None], *, range_events: int, timeout_s: float) -> None:
        self._shard = shard
        self._progress = progress
        self._range_events = range_events
        self._timeout_s = timeout_s
        self._position = 0

    async def read_up_to(self, connection: Executor, position: int) -> None:
        while self._position < position:
            upto = min(self._position + self._range_events, position)
            async with connection.transaction():
                await connection.execute(sql("prepare_long_read"))
                ranges = [PositionRange(self._shard, self._position, upto)]
                await fold_ranges(connection, ranges, only_collect=True, timeout=self._timeout_s)
            self._progress(upto - self._position)
            self._position = upto

    async def replace(self, connection: Executor) -> Changes:
        """Within the transaction that holds the cursor. Raises LogDamagedError when events are missing."""
        await check_log(connection, self._shard, self._position, self._timeout_s)
        await connection.execute(sql("plan_exchange"))
        await connection.execute(sql("judge_rebuilt_names"), self._shard, timeout=self._timeout_s)
        rows = [
            Changes(*row)
            for name in EXCHANGES
            for row in await connection.fetch(sql(name), self._shard, timeout=self._timeout_s)
        ]
        opened = await fetch_opened_items(
            connection, [PositionRange(self._shard, 0, self._position)], timeout=self._timeout_s
        )
        place = self._shard, self._position
        items = await connection.fetch(
            sql("replace_items"), *place, opened.positions, opened.data, timeout=self._timeout_s
        )
        rows += [Changes(*row) for row in items]
        return Changes(*(sum(column) for column in zip(*rows, strict=True)))
