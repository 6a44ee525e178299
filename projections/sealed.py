"""Sealed data of the log, opened for statements that compare it: Postgres itself has no key to open it with."""

from collections.abc import Sequence
from typing import NamedTuple

from meter.runtime.postgres import Executor
from meter.sealing import FORGOTTEN_KEY, unseal
from projections.plan import PositionRange
from projections.store import columns, sql
from schemas.codes import ITEM_CODE

STATEMENT_TIMEOUT_S = 24 * 3600


class Opened(NamedTuple):
    """Of one shard: positions and opened data, and the accounts that were forgotten."""

    positions: list[int]
    data: list[str]
    forgotten: frozenset[str]

    @property
    def columns(self) -> tuple[list[int], list[str]]:
        return self.positions, self.data


async def fetch_opened(connection: Executor, shard: int, position: int) -> Opened:
    rows = await connection.fetch(sql("fetch_sealed"), shard, position, timeout=STATEMENT_TIMEOUT_S)
    positions = [row["position"] for row in rows]
    data = [unseal(row["type"], row["data"], row["account_id"], row["key"]) for row in rows]
    return Opened(positions, data, frozenset(row["account_id"] for row in rows if row["key"] == FORGOTTEN_KEY))


class OpenedItems(NamedTuple):
    """The columns of what newest events tell of items, where the account has a key."""

    shards: list[int]
    positions: list[int]
    data: list[str]


async def fetch_opened_items(
    connection: Executor, ranges: Sequence[PositionRange], *, timeout: float | None = None
) -> OpenedItems:
    rows = await connection.fetch(sql("fetch_sealed_items"), *columns(ranges), timeout=timeout)
    data = [unseal(ITEM_CODE, row["data"], row["account_id"], row["key"]) for row in rows]
    return OpenedItems([row["shard"] for row in rows], [row["position"] for row in rows], data)
