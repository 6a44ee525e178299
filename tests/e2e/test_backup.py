"""The commands of deploy/OPERATING.md bring a database back to a moment, with what was before it and nothing after."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.child import make_directory, remove_directory
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.postgres import missing as postgres_missing
from tests.architecture.sources import ROOT
from tests.support.guides import fences

GUIDE = (ROOT / "deploy/OPERATING.md").read_text(encoding="utf-8").split("## Backup, and restore")[1].split("\n## ")[0]
BACK_UP, RESTORE = (text for language, text in fences(GUIDE) if language == "sh")


class Archiving(EmbeddedPostgres):
    """A server that archives its log, and one that is made of a backup of it."""

    def __init__(self, archive: Path) -> None:
        command = f'test ! -f "{archive}/%f" && cp "%p" "{archive}/%f"'
        super().__init__({"archive_mode": "on", "archive_command": command, "archive_timeout": "60"})

    @property
    def data(self) -> Path:
        return self._data

    def shell(self, commands: str, **variables: str) -> None:
        """As the user that Postgres runs as."""
        user = {} if self._user is None else {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        path = f"{self._install / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-euc", commands], env={"PATH": path, "HOME": "/nonexistent"} | variables, cwd=self.directory,
            capture_output=True, text=True, timeout=120, check=False, **user,  # type: ignore[call-overload]
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture
def backups() -> Iterator[Path]:
    server = EmbeddedPostgres()  # says which user Postgres runs as
    made = make_directory("backups", server._user)
    server.close()
    log = made / "log"
    log.mkdir()
    shutil.chown(log, made.owner(), made.group())
    yield made
    remove_directory(made)


@pytest.fixture
def servers(backups: Path) -> Iterator[list[Archiving]]:
    if why := postgres_missing():
        pytest.skip(why)
    made = [Archiving(backups / "log"), Archiving(backups / "log")]
    yield made
    for server in made:
        server.close()


async def run(server: Archiving, statement: str) -> str:
    connection = await asyncpg.connect(server.dsn())
    try:
        return str(await connection.fetchval(statement))
    finally:
        await connection.close()


def day_of_base(backups: Path) -> str:
    [base] = backups.glob("base-*")
    return base.name.removeprefix("base-")


async def test_a_backup_is_restored_to_a_moment(servers: list[Archiving], backups: Path) -> None:
    before, after = servers
    before.start()
    await run(before, "CREATE TABLE told (what text)")
    before.shell(BACK_UP, SUPERUSER_DSN=before.dsn(), BACKUPS=str(backups))
    await run(before, "INSERT INTO told VALUES ('kept')")
    moment = await run(before, "SELECT clock_timestamp()")
    await run(before, "INSERT INTO told VALUES ('too late')")
    before.stop()  # the last of the log is archived with it

    after.shell(RESTORE, BACKUPS=str(backups), PGDATA=str(after.data), MOMENT=moment, DAY=day_of_base(backups))
    after.start()
    assert await run(after, "SELECT string_agg(what, ', ') FROM told") == "kept"


def test_the_blocks_are_those_of_the_guide() -> None:
    assert re.search(r"^pg_basebackup ", BACK_UP, re.MULTILINE) and "recovery_target_time" in RESTORE
