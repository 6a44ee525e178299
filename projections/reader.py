"""Reading balances: the same answers as the SQL views, typed. Needs no more than the role `credit_reader`.

import asyncio

from meter.runtime.postgres import close_pool, open_reading_pool
from projections.reader import BalanceReader


async def main() -> None:
    pool = await open_reading_pool("postgresql://credit_reader@db.example.com/metering")  # PgBouncer will do
    try:
        print(await BalanceReader(pool).allowed("acct-1", "model_credits"))
    finally:
        await close_pool(pool)


asyncio.run(main())
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from meter.runtime.postgres import Pool, is_on_citus, load_sql
from schemas.resources import Resource
from schemas.statuses import AccountStanding, Status
from schemas.topics import partition_for

Standing = Literal["not_opened", "open", "closed"]
# Worst last: one icon for an account shows its worse resource.
STATUSES: Final[tuple[Status, ...]] = ("good", "moderate", "low", "exhausted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Amounts are exact credits or runs, at most six decimals."""

    account_id: str
    resource: Resource
    allocation: Decimal  # of the current epoch
    consumed: Decimal  # of the allocation
    remaining: Decimal  # negative when overdrawn
    exhaustion: Decimal | None  # percent, two decimals, rounded down; None in epoch 0
    status: Status
    allowed: bool  # whether the platform may spend it
    epoch: int  # 0: the account was not opened yet, or nothing was granted
    lifetime_granted: Decimal
    lifetime_consumed: Decimal
    free_only: bool  # nothing but the free allowance was ever granted
    account_state: Standing  # only an open account is allowed anything; readers never see not_opened
    as_of: datetime  # when the last event in it was recorded
    shard: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDay:
    """Usage of one kind and name on one UTC day, less what was reversed of it that day.

    A day with more reversed than used is negative, and so are lines of kind `reversal`: those that name no event.
    """

    account_id: str
    day: date
    resource: Resource
    kind: str  # model_inference, guardrail, custom_script, tool_run, reversal
    name: str
    events: int
    amount: Decimal
    # When the newest event in it was recorded; None for lines from before this was kept.
    changed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    account_id: str
    plan: str
    display_name: str | None
    time_zone: str | None
    state: AccountStanding
    opened_at: datetime


class BalanceReader:
    """For services that ask before they spend. Every method is one statement on an index, and where the tables are
    distributed it asks the node of the account alone."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._shards: int | None = None  # 0: any shard is asked by the same index

    async def _find_shard(self, account_id: str) -> int | None:
        if self._shards is None:
            is_distributed = await is_on_citus(self._pool)
            self._shards = await self._pool.fetchval(load_sql("projections", "read_shards")) if is_distributed else 0
        return partition_for(account_id.encode(), self._shards) if self._shards else None

    async def get(self, account_id: str) -> Mapping[Resource, Balance]:
        """Balances by resource, which may be asked by name: `["model_credits"]`. Empty where nobody opened it."""
        rows = await self._pool.fetch(
            load_sql("projections", "read_balances"), account_id, await self._find_shard(account_id)
        )
        return as_balances(rows)

    async def allowed(self, account_id: str, resource: Resource | str) -> bool:
        """Whether the account is open and anything is left; False for an unknown account, and for one that was never
        opened. Raises ValueError for an unknown resource."""
        known = as_resource(resource)
        shard = await self._find_shard(account_id)
        return bool(await self._pool.fetchval(load_sql("projections", "read_allowed"), account_id, known.value, shard))

    async def usage_by_day(
        self, account_id: str, since: date | None = None, until: date | None = None
    ) -> list[UsageDay]:
        """Newest day first, both ends included. Nothing of an account that nobody opened."""
        shard = await self._find_shard(account_id)
        rows = await self._pool.fetch(load_sql("projections", "read_usage_by_day"), account_id, since, until, shard)
        return [UsageDay(**dict(row) | {"resource": Resource(row["resource"])}) for row in rows]

    async def account(self, account_id: str) -> Account | None:
        """Plan, name and state; None before the account was opened."""
        row = await self._pool.fetchrow(
            load_sql("projections", "read_account"), account_id, await self._find_shard(account_id)
        )
        return None if row is None else Account(**dict(row))


def as_resource(resource: Resource | str) -> Resource:
    """Raises ValueError that names the resources there are."""
    try:
        return Resource(resource)
    except ValueError:
        raise ValueError(f"unknown resource {resource!r}: must be one of {', '.join(Resource)}") from None


def as_balances(rows: Iterable[Any]) -> Mapping[Resource, Balance]:
    """Rows of `projections.balances`, by resource."""
    balances = [Balance(**dict(row) | {"resource": Resource(row["resource"])}) for row in rows]
    return {balance.resource: balance for balance in balances}


def worst_status(balances: Mapping[Resource, Balance]) -> Status:
    """The status an account's icon shows; of nothing known: exhausted, for nothing is allowed."""
    return max((balance.status for balance in balances.values()), key=STATUSES.index, default="exhausted")
