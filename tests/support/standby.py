"""A streaming standby of an embedded Postgres, and a server that accepts connections and says nothing."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from deploy.local.postgres import HOST, SUPERUSER, EmbeddedPostgres, server_environment

NAME = "standby"


class Standby(EmbeddedPostgres):
    """A copy of a running server that follows it until it is promoted."""

    def __init__(self, primary: EmbeddedPostgres) -> None:
        super().__init__(primary.settings)
        self._primary = primary

    def _make_cluster(self) -> None:
        source = f"host={HOST} port={self._primary.port} user={SUPERUSER} application_name={NAME}"
        command = [str(self._install / "bin" / "pg_basebackup"), "-D", str(self._data), "-d", source]
        command += ["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"]
        user = {} if self._user is None else {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        subprocess.run(
            command,
            cwd=self.directory,
            env=server_environment(),
            check=True,
            capture_output=True,
            **user,  # type: ignore[call-overload]
        )

    async def promote(self) -> None:
        """It takes writes when this returns."""
        connection = await asyncpg.connect(self.dsn())
        try:
            assert await connection.fetchval("SELECT pg_promote()")
        finally:
            await connection.close()


def both(database: str, *servers: EmbeddedPostgres) -> str:
    """The DSN that names all of them, in this order."""
    hosts = ",".join(f"{HOST}:{server.port}" for server in servers)
    return f"postgresql://{SUPERUSER}@{hosts}/{database}"


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Accepts connections and never answers; the port."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: held.append(writer), HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()
