"""The notices, banners and emails of an account, for the command line. Read only."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from meter.runtime.postgres import Pool, load_sql

PACKAGE = "notifier"
# asyncpg's records: mappings in all but name.
Row = Any


class Report:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def knows(self, account_id: str) -> bool:
        return await self._find_shard(account_id) is not None

    async def _find_shard(self, account_id: str) -> int | None:
        shard: int | None = await self._pool.fetchval(load_sql(PACKAGE, "find_account"), account_id)
        return shard

    async def list_banners(self, account_id: str) -> Sequence[Row]:
        return list(await self._pool.fetch(load_sql(PACKAGE, "list_banners"), account_id))

    async def list_notices(self, account_id: str, limit: int) -> Sequence[Row]:
        shard = await self._find_shard(account_id)
        return list(await self._pool.fetch(load_sql(PACKAGE, "list_notices"), account_id, limit, shard))

    async def show_email(self, email_id: UUID) -> Row | None:
        shard = await self._pool.fetchval(load_sql(PACKAGE, "find_email"), email_id)
        return None if shard is None else await self._pool.fetchrow(load_sql(PACKAGE, "show_email"), email_id, shard)

    async def list_attempts(self, email_id: UUID) -> Sequence[Row]:
        return list(await self._pool.fetch(load_sql(PACKAGE, "list_attempts"), email_id))

    async def list_emails(
        self, state: str | None, account_id: str | None, recipient: str | None, limit: int
    ) -> Sequence[Row]:
        return list(await self._pool.fetch(load_sql(PACKAGE, "list_emails"), state, account_id, recipient, limit))
