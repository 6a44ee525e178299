"""The notice store in Postgres: the offset of a batch in one transaction with what it produced."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meter.runtime.errors import OwnershipLostError
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import Executor, Pool, load_sql, note_failure, transpose
from notifier.decide import Balance, Channel
from notifier.model import Account, Banner, BannerKind, EmailRow, Key, Known, NoticeRow, NotifyPlan

PACKAGE = "notifier"


class PostgresNoticeStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        rows = await self._pool.fetch(load_sql(PACKAGE, "fetch_offsets"), list(topics), list(shards))
        return {(row["topic"], row["shard"]): row["next_offset"] for row in rows}

    async def fetch_known(self, account_ids: Collection[str]) -> Known:
        """Outside a transaction: only the holder of the shard writes these rows, and `save` proves that we are it."""
        ids = sorted(account_ids)
        async with self._pool.acquire() as connection:
            return Known(
                accounts={row["account_id"]: read_account(row) for row in await fetch(connection, "accounts", ids)},
                balances={key_of(row): read_balance(row) for row in await fetch(connection, "balances", ids)},
                noticed=group_noticed(await fetch(connection, "noticed", ids)),
                banners={key_of(row): read_banner(row) for row in await fetch(connection, "banners", ids)},
            )

    async def save(self, plan: NotifyPlan) -> None:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._advance(connection, plan)
                await write_plans(connection, [plan])
                await fault_point("before_commit")
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        await fault_point("after_commit")

    async def save_together(self, plans: Sequence[NotifyPlan]) -> bool:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._advance_all(connection, plans)
                await write_plans(connection, plans)
                await fault_point("before_commit")
        except OwnershipLostError:
            return False
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        await fault_point("after_commit")
        return True

    async def _advance_all(self, connection: Executor, plans: Sequence[NotifyPlan]) -> None:
        places = transpose([(plan.shard, plan.start, plan.end) for plan in plans], 3)
        moved = await connection.fetch(load_sql(PACKAGE, "advance_cursors"), plans[0].topic, *places)
        if len(moved) < len(plans):
            raise OwnershipLostError("not every shard stands where it should, or one is locked")
        await fault_point("after_compare_and_set")

    async def _advance(self, connection: Executor, plan: NotifyPlan) -> None:
        sql = load_sql(PACKAGE, "advance_cursor")
        if await connection.fetchval(sql, plan.topic, plan.shard, plan.start, plan.end) is None:
            raise OwnershipLostError(f"{plan.topic}[{plan.shard}] no longer stands at offset {plan.start}")
        await fault_point("after_compare_and_set")


async def fetch(connection: Executor, what: str, account_ids: list[str]) -> list[Any]:
    return list(await connection.fetch(load_sql(PACKAGE, f"fetch_{what}"), account_ids))


async def write_plans(connection: Executor, plans: Sequence[NotifyPlan]) -> None:
    """One statement per kind of row, and none for kinds without rows. Plans of different shards, at one time."""
    for name, columns in statements(plans):
        await connection.execute(load_sql(PACKAGE, name), *columns)


def statements(plans: Sequence[NotifyPlan]) -> list[tuple[str, tuple[Any, ...]]]:
    """Names of statements with their parameters, in the order that foreign keys ask for."""
    at = plans[0].at
    found: list[tuple[str, tuple[Any, ...]]] = []
    if accounts := [account for plan in plans for account in plan.accounts]:
        found.append(("save_accounts", account_columns(accounts)))
    if balances := [balance for plan in plans for balance in plan.balances]:
        found.append(("save_balances", (*balance_columns(balances), at)))
    if notices := [row for plan in plans for row in plan.notices]:
        found.append(("append_notices", (*notice_columns(notices), at)))
    if banners := [banner for plan in plans for banner in plan.banners]:
        found.append(("save_banners", (*banner_columns(banners), at)))
    if cleared := [key for plan in plans for key in plan.cleared]:
        found.append(("clear_banners", transpose(cleared, 2)))
    if emails := [email for plan in plans for email in plan.emails]:
        found.append(("queue_emails", (*email_columns(emails), at)))
    if events := [(plan.shard, event.key, event.value) for plan in plans for event in plan.events]:
        found.append(("append_outbox", transpose(events, 3)))
    found += [
        ("append_rejections", (plan.topic, plan.shard, *rejection_columns(plan), at))
        for plan in plans
        if plan.unreadable
    ]
    return found


def account_columns(accounts: Sequence[Account]) -> tuple[list[Any], ...]:
    return transpose(
        [(a.account_id, a.shard, a.position, a.plan, a.display_name, json.dumps(a.contacts)) for a in accounts], 6
    )


def balance_columns(balances: Sequence[Balance]) -> tuple[list[Any], ...]:
    rows = [(b.account_id, b.resource, b.shard, b.position, b.epoch, b.allocation, b.consumed) for b in balances]
    return transpose(rows, 7)


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
        (b.account_id, b.resource, b.threshold, b.kind.value, b.removable, b.text, b.epoch, b.shard, b.position)
        for b in banners
    ]
    return transpose(rows, 9)


def email_columns(emails: Sequence[EmailRow]) -> tuple[list[Any], ...]:
    return transpose([(e.email_id, e.notice_id, e.recipient, e.message_id, e.message) for e in emails], 5)


def rejection_columns(plan: NotifyPlan) -> tuple[list[Any], ...]:
    rows = [
        (bad.record.offset, bad.reason, bad.detail.replace("\0", " "), bad.record.key, bad.record.value)
        for bad in plan.unreadable
    ]
    return transpose(rows, 5)


def key_of(row: Any) -> Key:
    return row["account_id"], row["resource"]


def read_account(row: Any) -> Account:
    return Account(
        account_id=row["account_id"],
        shard=row["shard"],
        position=row["position"],
        plan=row["plan"],
        display_name=row["display_name"],
        contacts=tuple(row["contacts"]),
    )


def read_balance(row: Any) -> Balance:
    return Balance(
        account_id=row["account_id"],
        resource=row["resource"],
        epoch=row["epoch"],
        allocation=row["allocation"],
        consumed=row["consumed"],
        shard=row["shard"],
        position=row["position"],
    )


def read_banner(row: Any) -> Banner:
    return Banner(
        account_id=row["account_id"],
        resource=row["resource"],
        threshold=row["threshold"],
        kind=BannerKind(row["kind"]),
        removable=row["removable"],
        text=row["text"],
        epoch=row["epoch"],
        shard=row["shard"],
        position=row["position"],
        raised_at=row["raised_at"],
    )


def group_noticed(rows: Sequence[Any]) -> dict[Key, frozenset[tuple[Channel, int]]]:
    found: dict[Key, set[tuple[Channel, int]]] = {}
    for row in rows:
        found.setdefault(key_of(row), set()).add((Channel(row["channel"]), row["threshold"]))
    return {key: frozenset(lines) for key, lines in found.items()}
