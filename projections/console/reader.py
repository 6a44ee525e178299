"""What the console asks Postgres: views alone, as the role `credit_console`, one statement each."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self, TypeVar

from meter.runtime.postgres import Executor, Pool, load_sql, takes_one_shard
from projections.console.dry_run import MOST_STEPS, Channel, Step
from projections.console.periods import Period, midnight
from projections.console.rows import Amount, Item, Point, Usage
from projections.console.summary import Summary, summary_of
from schemas.amounts import MICRO

T = TypeVar("T")
sql = partial(load_sql, "projections.console")
MOST_HISTORY: Final = 500  # of each kind of entry
# Of a history that is not asked for by time.
ALWAYS: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class ConsoleReader:
    def __init__(self, pool: Pool | Executor) -> None:
        self._pool = pool

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[Self]:
        """A reader all of whose answers are of one moment: figures of one page agree, whatever is folded meanwhile."""
        if not isinstance(self._pool, Pool):
            raise TypeError("a moment within a moment")
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield type(self)(connection)

    async def summaries(self, account_ids: Iterable[str], *, runways: bool = True) -> Mapping[str, Summary]:
        """One statement, however many accounts."""
        name = "read_summaries_apart" if await takes_one_shard(self._pool) else "read_summaries"
        rows = await self._pool.fetch(sql(name), list(account_ids), runways)
        return {row["account_id"]: summary_of(dict(row)) for row in rows}

    async def summary(self, account_id: str) -> Summary:
        return (await self.summaries([account_id]))[account_id]

    async def usage(self, account_id: str, period: Period, kind: str | None = None) -> list[Usage]:
        """Of one kind where it is named: a tab of items needs no other, and to add up is what takes the time."""
        if period.whole_days:
            rows = await self._pool.fetch(sql("sum_days"), account_id, period.first, period.last, kind)
        else:
            rows = await self._pool.fetch(sql("sum_slots"), account_id, period.start, period.end, kind)
        return await asyncio.to_thread(values_of, Usage, rows)

    async def amounts(self, account_id: str, period: Period) -> Sequence[Amount]:
        """Of all kinds, for a page that shows no more of each item."""
        if not period.whole_days:
            return await self.usage(account_id, period)
        rows = await self._pool.fetch(sql("sum_items"), account_id, period.first, period.last)
        return await asyncio.to_thread(values_of, Amount, rows)

    async def points(self, account_id: str, period: Period) -> list[Point]:
        if period.whole_days:
            rows = await self._pool.fetch(sql("list_days"), account_id, period.first, period.last)
            return [point_of_day(dict(row), period) for row in rows]
        if period.unit == "day":
            rows = await self._pool.fetch(sql("list_slots"), account_id, period.start, period.end)
            return await asyncio.to_thread(lambda: points_of_slots(values_of(Point, rows), period))
        rows = await self._pool.fetch(sql("list_hours"), account_id, period.start, period.end)
        return [Point(**row) for row in rows]

    async def catalogue(self, account_id: str) -> list[Item]:
        return await asyncio.to_thread(values_of, Item, await self._pool.fetch(sql("list_catalogue"), account_id))

    async def first_use(self, account_id: str, kind: str | None = None) -> date | None:
        found: date | None = await self._pool.fetchval(sql("find_first_use"), account_id, kind)
        return found

    async def notices(self, account_id: str, period: Period | None = None) -> Sequence[Mapping[str, Any]]:
        return await self._history("list_notices", account_id, period)

    async def events(self, account_id: str, period: Period | None = None) -> Sequence[Mapping[str, Any]]:
        return await self._history("list_events", account_id, period)

    async def epochs(self, account_id: str, period: Period | None = None) -> Sequence[Mapping[str, Any]]:
        return await self._history("list_epochs", account_id, period)

    async def letters(self, account_id: str, period: Period | None = None) -> Sequence[Mapping[str, Any]]:
        return await self._history("list_letters", account_id, period)

    async def _history(self, name: str, account_id: str, period: Period | None) -> Sequence[Mapping[str, Any]]:
        """One more than there may be, where there are more."""
        start, end = ALWAYS if period is None else (period.start, period.end)
        return [dict(row) for row in await self._pool.fetch(sql(name), account_id, MOST_HISTORY + 1, start, end)]

    async def steps(self, account_id: str, period: Period) -> list[Step]:
        """What a dry run looks at, at most MOST_STEPS of it."""
        rows = await self._pool.fetch(sql("list_exhaustion_steps"), account_id, period.start, period.end, MOST_STEPS)
        return [step_of(dict(row)) for row in rows]

    async def lines_in_force(self, account_id: str) -> Mapping[Channel, Sequence[int]] | None:
        """By channel; None while no notifier has recorded any."""
        row = await self._pool.fetchrow(sql("find_lines_in_force"), account_id)
        return None if row is None else {channel: row[channel.value] for channel in Channel}


def values_of(made: type[T], rows: Iterable[Any]) -> list[T]:
    """In a thread: an account may have very many, and others are waited for meanwhile."""
    return [made(**row) for row in rows]


def step_of(row: Mapping[str, Any]) -> Step:
    amounts = int(row["allocation"] * MICRO), int(row["consumed"] * MICRO)
    return Step(row["resource"], row["epoch"], *amounts, row["at"])


def points_of_slots(slots: Iterable[Point], period: Period) -> list[Point]:
    """By day of the zone that is shown, in which the account's days are not added up."""
    sums: defaultdict[tuple[date, str, str], Decimal] = defaultdict(Decimal)
    for slot in slots:
        sums[slot.at.astimezone(period.zone).date(), slot.resource, slot.kind] += slot.amount
    return [
        point_of_day({"day": day, "resource": resource, "kind": kind, "amount": amount}, period)
        for (day, resource, kind), amount in sums.items()
    ]


def point_of_day(row: Mapping[str, Any], period: Period) -> Point:
    at = midnight(row["day"], period.zone).astimezone(UTC)
    return Point(at=at, resource=row["resource"], kind=row["kind"], amount=row["amount"])
