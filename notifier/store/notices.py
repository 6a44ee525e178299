"""The notice store in Postgres: the offset of a batch in one transaction with what it produced."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from meter.runtime.errors import OwnershipLostError
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import (
    Executor,
    Pool,
    fetch_together,
    load_sql,
    note_failure,
    takes_one_shard,
    transpose,
    write_transaction,
)
from notifier.decide import BalanceSnapshot
from notifier.events import email_ended
from notifier.letters import Ending
from notifier.model import AccountSnapshot, Banner, Known, NoticeRow, NotifyPlan, OutboxEvent, People, Saved
from notifier.store.letters import append_events, read_lines, work_out, write_changes
from notifier.store.rows import (
    group_generations,
    group_noticed,
    key_of,
    read_account,
    read_balance,
    read_banner,
    read_email,
    read_people,
)
from notifier.store.traces import trace_columns

PACKAGE = "notifier"


class PostgresNoticeStore:
    """`pause_s` is how long a letter waits for further lines before it is sent."""

    def __init__(self, pool: Pool, pause_s: float = 0.0) -> None:
        self._pool = pool
        self._pause_s = pause_s

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        rows = await self._pool.fetch(load_sql(PACKAGE, "fetch_offsets"), list(topics), list(shards))
        return {(row["topic"], row["shard"]): row["next_offset"] for row in rows}

    async def fetch_known(self, account_ids: Collection[str], shards: Collection[int] | None = None) -> Known:
        """Outside a transaction: only the holder of the shard writes these rows, and `save` proves that we are it."""
        asked = sorted(account_ids), in_order(shards)
        names = ("fetch_accounts", "fetch_balances", "fetch_noticed", "fetch_banners")
        async with self._pool.acquire() as connection:
            rows = await fetch_together(
                connection, PACKAGE, dict.fromkeys(names, asked) | {"fetch_generations": asked[1:]}
            )
        return Known(
            accounts={row["account_id"]: read_account(row) for row in rows["fetch_accounts"]},
            balances={key_of(row): read_balance(row) for row in rows["fetch_balances"]},
            noticed=group_noticed(rows["fetch_noticed"]),
            banners={key_of(row): read_banner(row) for row in rows["fetch_banners"]},
            generations=group_generations(rows["fetch_generations"]),
        )

    async def fetch_people(
        self, account_ids: Collection[str], shards: Collection[int] | None = None
    ) -> Mapping[str, People]:
        async with self._pool.acquire() as connection:
            asked = sorted(account_ids), in_order(shards)
            rows = await connection.fetch(load_sql(PACKAGE, "fetch_people"), *asked)
            return {row["account_id"]: read_people(row) for row in rows}

    async def save(self, plan: NotifyPlan) -> Saved:
        try:
            [saved] = await self._transact([plan])
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        return saved

    async def save_together(self, plans: Sequence[NotifyPlan]) -> list[Saved] | None:
        try:
            if await takes_one_shard(self._pool):
                return None
            return await self._transact(plans)
        except OwnershipLostError:
            return None
        except Exception as error:
            await note_failure(self._pool, error)
            raise

    async def _transact(self, plans: Sequence[NotifyPlan]) -> list[Saved]:
        saved = []
        async with self._pool.acquire() as connection, write_transaction(connection):
            for plan in plans:
                await self._advance(connection, plan)
                changes = await work_out(connection, plan)
                await write_plan(connection, plan)
                queued = await write_changes(connection, changes, self._pause_s, plan.at)
                saved.append(Saved(queued, await forget_people(connection, plan)))
            await fault_point("before_commit")
        await fault_point("after_commit")
        return saved

    async def _advance(self, connection: Executor, plan: NotifyPlan) -> None:
        sql = load_sql(PACKAGE, "advance_cursor")
        if await connection.fetchval(sql, plan.topic, plan.shard, plan.start, plan.end) is None:
            raise OwnershipLostError(f"{plan.topic}[{plan.shard}] no longer stands at offset {plan.start}")
        await fault_point("after_compare_and_set")


async def forget_people(connection: Executor, plan: NotifyPlan) -> int:
    """Behind everything else that the batch writes of these accounts: a letter that it queued ends as well. The number
    of letters that ended."""
    accounts = [account.account_id for account in plan.accounts if account.forgotten]
    if not accounts:
        return 0
    letters = await connection.fetch(load_sql(PACKAGE, "forget_people"), plan.shard, accounts)
    if letters:
        await append_events(connection, [(plan.shard, forgotten_letter(row, plan.at)) for row in letters])
    return len(letters)


def forgotten_letter(row: Any, at: datetime) -> OutboxEvent:
    return email_ended(read_email(row), Ending.CANCELLED.value, read_lines(row["lines"]), row["reason"], at)


def in_order(shards: Collection[int] | None) -> list[int] | None:
    return None if shards is None else sorted(shards)


async def write_plan(connection: Executor, plan: NotifyPlan) -> None:
    """One statement per kind of row, and none for kinds without rows."""
    for name, parameters in statements(plan):
        await connection.execute(load_sql(PACKAGE, name), *parameters)


def statements(plan: NotifyPlan) -> list[tuple[str, tuple[Any, ...]]]:
    """Names of statements with their parameters, in the order that foreign keys ask for."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if plan.accounts:
        found.append(("save_accounts", account_columns(plan.accounts)))
    if plan.balances:
        found.append(("save_balances", (*balance_columns(plan.balances), plan.at)))
    if plan.notices:
        found.append(("append_notices", (*notice_columns(plan.notices), plan.at)))
    if plan.banners:
        found.append(("save_banners", banner_columns(plan.banners)))
    if plan.cleared:
        found.append(("clear_banners", (*transpose(plan.cleared, 2), plan.shard)))
    if plan.events:
        found.append(("append_outbox", transpose([(plan.shard, event.key, event.value) for event in plan.events], 3)))
    if plan.traces:
        found.append(("save_line_traces", trace_columns(plan.traces)))
    if plan.unreadable:
        found.append(("append_rejections", (plan.topic, plan.shard, *rejection_columns(plan), plan.at)))
    return found


def account_columns(accounts: Sequence[AccountSnapshot]) -> tuple[list[Any], ...]:
    return transpose(
        [
            (
                *(a.account_id, a.shard, a.position, a.plan, a.display_name, json.dumps(a.contacts), a.is_open),
                *(a.time_zone, a.generation),
            )
            for a in accounts
        ],
        9,
    )


def balance_columns(balances: Sequence[BalanceSnapshot]) -> tuple[list[Any], ...]:
    rows = [
        (
            *(b.account_id, b.resource, b.shard, b.position, b.epoch, b.allocation, b.consumed, b.line, b.as_of),
            *(b.free_only, b.generation),
        )
        for b in balances
    ]
    return transpose(rows, 11)


def notice_columns(notices: Sequence[NoticeRow]) -> tuple[list[Any], ...]:
    rows = []
    for row in notices:
        notice, balance = row.notice, row.notice.balance
        rows.append(
            (
                row.notice_id,
                balance.account_id,
                balance.resource,
                balance.epoch,
                notice.channel.value,
                notice.threshold,
                notice.outcome.value,
                balance.allocation,
                balance.consumed,
                balance.shard,
                balance.position,
            )
        )
    return transpose(rows, 11)


def banner_columns(banners: Sequence[Banner]) -> tuple[list[Any], ...]:
    rows = [
        (
            b.account_id,
            b.resource,
            b.threshold,
            b.kind.value,
            b.removable,
            b.text,
            b.epoch,
            b.shard,
            b.position,
            b.generation,
            b.raised_at,
        )
        for b in banners
    ]
    return transpose(rows, 11)


def rejection_columns(plan: NotifyPlan) -> tuple[list[Any], ...]:
    rows = [
        (bad.record.offset, bad.reason, bad.detail.replace("\0", " "), bad.record.key, bad.record.value)
        for bad in plan.unreadable
    ]
    return transpose(rows, 5)
