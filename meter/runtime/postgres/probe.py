"""Asks Postgres whether it is there, takes writes and finishes them, for readiness."""

import asyncio
from collections.abc import Collection
from typing import Any

import asyncpg

from meter.runtime.postgres.failures import WRITES
from meter.runtime.postgres.hosts import hosts_for
from meter.runtime.postgres.pool import connect
from meter.runtime.postgres.statements import load_sql
from meter.runtime.postgres.transactions import COMMITS
from meter.runtime.settings import Settings

COMMIT_PATIENCE_S = 2
# To go through what all processes of the server do costs it more than all else that a service at rest asks.
WHOLE_LOOK_S = 3.0


class PostgresProbe:
    """A server that only reads, after a fail-over, is not the one that is needed. Nor is one whose commits wait for a
    standby that is away."""

    name = "postgres"

    def __init__(self, settings: Settings, application_name: str) -> None:
        self._dsn = settings.postgres_dsn
        self._hosts = hosts_for(settings)
        self._application_name = application_name
        self._connection: asyncpg.Connection[Any] | None = None
        self._holding: dict[str, float] = {}  # since when a transaction is seen to hold back the same number
        self.oldest_transaction_s = 0.0
        self._look_at = 0.0  # when to look at everything again, while nothing is found

    async def ask(self) -> None:
        try:
            server = await self._ask()
        except BaseException:
            COMMITS.note_working(())
            self._note_holding((), asyncio.get_running_loop().time())  # nobody knows of any now
            raise
        COMMITS.note_working(() if server is None else server["working"])
        self._note_holding(() if server is None else server["holding"], asyncio.get_running_loop().time())
        if server is None or server["reads_only"]:
            raise ConnectionError(f"the server is read-only. {WRITES}")
        waiting_s = server["waiting_s"]
        if waiting_s is not None and waiting_s > COMMIT_PATIENCE_S:
            raise ConnectionError(
                f"a commit has waited for a synchronous standby for {waiting_s:.0f} s: start the standby again, or "
                "take it out of synchronous_standby_names. Nothing is lost; writing goes on when it answers"
            )

    def _note_holding(self, holding: Collection[str], now: float) -> None:
        self._holding = {each: self._holding.get(each, now) for each in holding}
        self.oldest_transaction_s = now - min(self._holding.values(), default=now)

    async def _ask(self) -> Any:
        now = asyncio.get_running_loop().time()
        if self._connection is None:
            self._connection, self._look_at = await connect(self._dsn, self._application_name), now
        if now < self._look_at and not COMMITS.any_under_way:
            return await self._connection.fetchrow(load_sql("meter.runtime.postgres", "ask_server_briefly"))
        server = await self._connection.fetchrow(load_sql("meter.runtime.postgres", "ask_server"))
        is_quiet = server is not None and server["waiting_s"] is None and not server["holding"]
        self._look_at = now + WHOLE_LOOK_S if is_quiet else now
        return server

    @property
    def where(self) -> str | None:
        """The host it asked, of several."""
        host = None if self._connection is None else self._hosts.where(self._connection)
        return None if host is None else str(host)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
