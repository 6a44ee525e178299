"""`projections verify` on items: what the newest event of each tells, by the contract and not by the fold's SQL."""

from collections.abc import Sequence
from typing import Any, Final

from meter.runtime.postgres import Executor, transpose
from meter.sealing import unseal
from projections.store import sql
from schemas.codes import ITEM_CODE
from schemas.upcast import read_stored

STATEMENT_TIMEOUT_S: Final = 24 * 3600
FIELDS: Final = ("kind", "id", "name", "status", "owner", "type", "language", "version", "reason", "deployed_at")


async def fetch_items(connection: Executor, shard: int, position: int) -> tuple[list[Any], ...]:
    """A list for each column of `compare_items.sql`: account, fields, position."""
    rows = await connection.fetch(sql("list_item_changes"), shard, position, timeout=STATEMENT_TIMEOUT_S)
    return transpose([read_item(*row) for row in rows], len(FIELDS) + 2)


def read_item(account_id: str, position: int, data: str, key: bytes | None) -> Sequence[Any]:
    """Without a key all of it is in clear, also a member of the name that sealed data has."""
    told = read_stored(ITEM_CODE, data if key is None else unseal(ITEM_CODE, data, account_id, key))
    return account_id, *(getattr(told, name) for name in FIELDS), position
