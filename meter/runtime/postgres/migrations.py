"""Migrations: numbered SQL files in `<package>/migrations`, forward-only, each in a transaction, under one lock."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import NamedTuple

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, load_sql

# Any fixed number will do; it must only be the same in every process that migrates this database.
LOCK_KEY = 0x6D65_7465_72  # "meter"
FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class Migration(NamedTuple):
    package: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class MigrationError(RefusalError):
    """What is in the database and what is in the files do not fit together."""


def read_migrations(package: str) -> list[Migration]:
    """The migrations of a package in order; a missing or doubled number is an error."""
    found = sorted(find_files(package), key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations of {package} are not numbered 1, 2, 3 …: {numbers}")
    return found


def find_files(package: str) -> Iterator[Migration]:
    for entry in resources.files(package).joinpath("migrations").iterdir():
        if match := FILE_NAME.match(entry.name):
            yield Migration(package, int(match[1]), entry.name, entry.read_text(encoding="utf-8"))


async def migrate(connection: Executor, packages: Sequence[str]) -> list[str]:
    """Apply what is missing, in order of packages and numbers; return the names of what was applied.

    Raises MigrationError when an applied file was changed since, or the database is newer than the files.
    """
    await connection.execute(load_sql("meter.runtime.postgres", "lock_migrations"), LOCK_KEY)
    try:
        await connection.execute(load_sql("meter.runtime.postgres", "create_migrations"))
        applied: list[str] = []
        for package in packages:
            applied += await migrate_package(connection, package)
        return applied
    finally:
        await connection.execute(load_sql("meter.runtime.postgres", "unlock_migrations"), LOCK_KEY)


async def migrate_package(connection: Executor, package: str) -> list[str]:
    rows = await connection.fetch(load_sql("meter.runtime.postgres", "fetch_migrations"), package)
    known = {row["number"]: row["checksum"] for row in rows}
    migrations = read_migrations(package)
    check_history(package, migrations, known)
    applied = []
    for migration in migrations[len(known) :]:
        await apply_migration(connection, migration)
        applied.append(f"{package}/{migration.name}")
    return applied


def check_history(package: str, migrations: Sequence[Migration], known: dict[int, str]) -> None:
    if len(known) > len(migrations):
        raise MigrationError(
            f"the database has {len(known)} migrations of {package}, this version knows {len(migrations)}: "
            "run a version at least as new as the one that migrated it"
        )
    for migration in migrations[: len(known)]:
        if known.get(migration.number) != migration.checksum:
            raise MigrationError(
                f"{package}/{migration.name} was changed after it was applied: restore the file and put the change "
                "into a new migration"
            )


async def apply_migration(connection: Executor, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            load_sql("meter.runtime.postgres", "insert_migration"),
            migration.package,
            migration.number,
            migration.name,
            migration.checksum,
        )
