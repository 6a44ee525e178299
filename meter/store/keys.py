"""Keys of accounts: made when an account's first address or name is stored, thrown away when it is forgotten.

Everything here happens in the transaction that appends the batch, under the shard's row lock: an event is never stored
with a key that is not, and no event follows a forgetting with a name in it.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from meter.content import forget_people
from meter.plan import AppendPlan
from meter.runtime.postgres import Executor, load_sql
from meter.sealing import FORGOTTEN_CODE, FORGOTTEN_KEY, KEY_BYTES, NONCE_BYTES, needs_sealing, seal
from schemas.codes import PERSONAL_CODES
from schemas.records import Accepted
from schemas.rows import types_of

Keys = Mapping[str, bytes]  # by account

_PERSONAL = frozenset(PERSONAL_CODES)


def has_personal(plan: AppendPlan) -> bool:
    """Whether events of the batch may name somebody."""
    return not _PERSONAL.isdisjoint(types_of(plan.rows) | types_of(plan.again) | types_of(plan.corrections))


async def leave_out_forgotten(connection: Executor, plan: AppendPlan) -> AppendPlan:
    """The plan without addresses and names of accounts that were forgotten: what is left is compared and stored."""
    if not has_personal(plan):
        return plan
    rows = [row for row in (*plan.rows, *plan.again, *plan.corrections) if row.type in _PERSONAL]
    keys = await fetch_keys(connection, plan.shard, {row.account_id for row in rows})
    gone = {account_id for account_id, key in keys.items() if key == FORGOTTEN_KEY}
    if not gone:
        return plan
    return replace(
        plan,
        rows=tuple(blank(plan.rows, gone)),
        again=tuple(blank(plan.again, gone)),
        corrections=tuple(blank(plan.corrections, gone)),
    )


def blank(rows: Iterable[Accepted], accounts: set[str]) -> Iterable[Accepted]:
    return (forget_people(row) if row.account_id in accounts else row for row in rows)


async def seal_rows(connection: Executor, plan: AppendPlan) -> Sequence[Accepted]:
    """The rows as they are stored. Those of the usual batch, which is usage, stay as they are."""
    if _PERSONAL.isdisjoint(types_of(plan.rows)):
        return plan.rows
    personal = {row.key for row in plan.rows if row.type in _PERSONAL and needs_sealing(row.type, row.data)}
    if not personal:
        return plan.rows
    accounts = {row.account_id for row in plan.rows if row.key in personal}
    keys = dict(await fetch_keys(connection, plan.shard, accounts))
    made = {account_id: os.urandom(KEY_BYTES) for account_id in sorted(accounts - keys.keys())}
    if made:
        columns = list(made), list(made.values())
        await connection.execute(load_sql("meter", "insert_keys"), plan.shard, plan.recorded_at, *columns)
    keys |= made
    sealed = []
    for row in plan.rows:
        if row.type == FORGOTTEN_CODE:
            keys[row.account_id] = FORGOTTEN_KEY  # for what follows in this batch
        sealed.append(seal_row(row, keys) if row.key in personal else row)
    return sealed


def seal_row(row: Accepted, keys: Keys) -> Accepted:
    try:
        data = seal(row.type, row.data, row.account_id, keys[row.account_id], os.urandom(NONCE_BYTES))
    except UnicodeEncodeError:
        return row  # the encoder of rows refuses it likewise, and that is handled
    return row._replace(data=data)


async def fetch_keys(connection: Executor, shard: int, accounts: Iterable[str]) -> Keys:
    rows = await connection.fetch(load_sql("meter", "fetch_keys"), shard, sorted(accounts))
    return {row["account_id"]: row["key"] for row in rows}


async def forget_accounts(connection: Executor, plan: AppendPlan) -> None:
    """Throw away the keys of the accounts that the stored events of the plan forget."""
    if FORGOTTEN_CODE in types_of(plan.rows):
        accounts = sorted({row.account_id for row in plan.rows if row.type == FORGOTTEN_CODE})
        await connection.execute(load_sql("meter", "forget_accounts"), plan.shard, plan.recorded_at, accounts)
