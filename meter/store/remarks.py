"""Remarks of a batch, in its transaction: what was left out of its events, and what of them has no effect."""

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final

from meter.closings import Standing, accounts_moved, remark_without_effect
from meter.openings import (
    Earlier,
    Opening,
    accounts_new,
    find_earlier,
    merge_remarks,
    remark_earlier_changes,
    remark_later_openings,
)
from meter.plan import AppendPlan, RemarkRow
from meter.runtime.postgres import Executor, load_sql, transpose
from meter.sealing import unseal

MOST_RENAMES: Final = 100  # of an account before its opening; an older name or time zone loses without a remark


async def append_remarks(
    connection: Executor, plan: AppendPlan, openings: Mapping[str, Opening], first_position: int
) -> None:
    """`openings` has the event that opened each account of which the batch has an opening."""
    ineffective = remark_later_openings(plan.rows, first_position, openings) if openings else []
    ineffective += await remark_moves(connection, plan, first_position)
    earlier = await remark_earlier(connection, plan, openings, first_position)
    if remarks := merge_remarks(plan.remarks(), ineffective, earlier):
        columns = transpose(remarks, len(RemarkRow._fields))
        await connection.execute(load_sql("meter", "append_remarks"), plan.shard, plan.recorded_at, *columns)


async def remark_moves(connection: Executor, plan: AppendPlan, first_position: int) -> list[RemarkRow]:
    """Of closings and reopenings."""
    if not (moved := accounts_moved(plan.rows)):
        return []
    rows = await connection.fetch(load_sql("meter", "fetch_standings"), plan.shard, moved, first_position)
    standings = {account_id: Standing(*standing) for account_id, *standing in rows}
    return remark_without_effect(plan.rows, first_position, standings)


async def remark_earlier(
    connection: Executor, plan: AppendPlan, openings: Mapping[str, Opening], first_position: int
) -> list[RemarkRow]:
    """Of the batch's first openings: what loses to an earlier change, in this batch or before."""
    if not (new := accounts_new(openings, first_position)):
        return []
    earlier = await fetch_earlier(connection, plan.shard, new)
    return remark_earlier_changes(plan.rows, first_position, openings, earlier)


async def fetch_earlier(connection: Executor, shard: int, positions: Mapping[str, int]) -> dict[str, Earlier]:
    """By account; those to which nothing happened before are not in it."""
    statement = load_sql("meter", "find_earlier_changes")
    rows = await connection.fetch(statement, shard, list(positions), list(positions.values()), MOST_RENAMES)
    return {
        account_id: find_earlier(
            (row["type"], unseal(row["type"], row["data"], account_id, row["key"])) for row in changes
        )
        for account_id, changes in groupby(rows, key=itemgetter("account_id"))
    }
