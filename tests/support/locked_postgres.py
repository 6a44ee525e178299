"""A Postgres that asks one role for its password, as a company's does."""

from typing import Final

import asyncpg

from deploy.local.postgres import HOST, EmbeddedPostgres

LOCKED: Final = "locked"  # who may do all, with the password
PASSWORD: Final = "opensesame"  # of a server that lives for one test
STRANGER: Final = "stranger"  # who may log in, and nothing else


class LockedPostgres(EmbeddedPostgres):
    async def change_password(self, password: str, *, ending: bool = True) -> None:
        """Of the locked role; `ending`: its connections, so that each is made anew."""
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(f"ALTER ROLE {LOCKED} PASSWORD '{password}'")
            if ending:
                await connection.execute(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{LOCKED}'"
                )
        finally:
            await connection.close()

    async def make_roles(self) -> None:
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(f"CREATE ROLE {LOCKED} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            await connection.execute(f"CREATE ROLE {STRANGER} LOGIN")
            rules = self.directory / "data" / "pg_hba.conf"
            own = f"host all {LOCKED} {HOST}/32 scram-sha-256\n"
            rules.write_text(own + rules.read_text(encoding="utf-8"), encoding="utf-8")
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close()
