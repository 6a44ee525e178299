"""Migrations: numbered SQL files in `<package>/migrations`, forward-only, each in a transaction, one process at a time.

A file whose first line begins with `-- outside a transaction:` builds indexes CONCURRENTLY. Its statements run one by
one and may take hours. An interrupted run leaves an invalid index at worst, which the next run drops and builds again;
so each statement must be one that can be repeated (IF NOT EXISTS, IF EXISTS).
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import resources
from typing import Final, NamedTuple

import asyncpg

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool, load_sql

NO_LIMIT_S = 30 * 86_400.0  # the driver takes no limit for its default, so a month
LOCK_PAUSE_S = 0.2
LOCK_REPORT_S = 10.0  # a setup that waits for another says so again
# What IF NOT EXISTS ends with where another makes the table at this moment: its row, itself, or the type of its rows.
MADE_MEANWHILE: Final = (asyncpg.UniqueViolationError, asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError)
LOCK_TRIES = 30
LOCKED_PAUSE_S = 2.0
OUTSIDE = "-- outside a transaction:"
BUILDS_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)")
FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class Migration(NamedTuple):
    package: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def outside(self) -> bool:
        """Whether it runs outside a transaction."""
        return self.sql.startswith(OUTSIDE)

    def statements(self) -> list[str]:
        """Its statements without comments; each ends with a semicolon at the end of a line."""
        code = "".join(line for line in self.sql.splitlines(keepends=True) if not line.startswith("--"))
        return [statement.strip() for statement in re.split(r";\s*(?:\n|$)", code) if statement.strip()]


Report = Callable[[str], None]


def report_nothing(_line: str) -> None:
    pass


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


async def migrate(connection: Executor, packages: Sequence[str], report: Report = report_nothing) -> list[str]:
    """Apply what is missing, in order of packages and numbers; return the names of what was applied.

    `report` gets a line before and after what may take long. Raises MigrationError when an applied file was changed
    since, or the database is newer than the files.
    """
    await lock_migrations(connection, report)
    try:
        await connection.execute(load_sql("meter.runtime.postgres", "create_migrations"))
        applied: list[str] = []
        for package in packages:
            applied += await migrate_package(connection, package, report)
        return applied
    finally:
        await connection.execute(load_sql("meter.runtime.postgres", "unlock_migrations"))


async def lock_migrations(connection: Executor, report: Report = report_nothing) -> None:
    """Until it is this session's turn. `report` gets a line about whom it waits for, now and then."""
    with suppress(*MADE_MEANWHILE):
        await connection.execute(load_sql("meter.runtime.postgres", "create_migrator"))
    await connection.execute(load_sql("meter.runtime.postgres", "insert_migrator"))
    next_report = 0.0
    while not await connection.fetchval(load_sql("meter.runtime.postgres", "lock_migrations")):
        if (now := time.monotonic()) >= next_report:
            next_report = now + LOCK_REPORT_S
            await report_migrator(connection, report)
        await asyncio.sleep(LOCK_PAUSE_S)


async def report_migrator(connection: Executor, report: Report) -> None:
    row = await connection.fetchrow(load_sql("meter.runtime.postgres", "find_migrator"))
    if row is not None:  # else it has just ended
        report(
            f"waits for another setup: pid {row['pid']}, {row['role']} from {row['host']}. It goes on when that one "
            f"ends; where nobody waits for that one any more, as {row['role']} or as a superuser: "
            f"SELECT pg_terminate_backend({row['pid']})"
        )


async def migrate_package(connection: Executor, package: str, report: Report) -> list[str]:
    rows = await connection.fetch(load_sql("meter.runtime.postgres", "fetch_migrations"), package)
    known = {row["number"]: row["checksum"] for row in rows}
    migrations = read_migrations(package)
    check_history(package, migrations, known)
    applied = []
    for migration in migrations[len(known) :]:
        if migration.outside:
            await apply_outside(connection, migration, report)
        else:
            await apply_migration(connection, migration, report)
        applied.append(f"{package}/{migration.name}")
    return applied


async def find_missing(pool: Pool, package: str) -> list[str]:
    """Names of the migrations that are not applied yet; changes nothing."""
    if not await pool.fetchval("SELECT to_regclass('public.metering_migrations') IS NOT NULL"):
        return [migration.name for migration in read_migrations(package)]
    rows = await pool.fetch(load_sql("meter.runtime.postgres", "fetch_migrations"), package)
    applied = {row["number"] for row in rows}
    return [migration.name for migration in read_migrations(package) if migration.number not in applied]


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


async def apply_migration(connection: Executor, migration: Migration, report: Report = report_nothing) -> None:
    """A lock is waited for as long as the session's lock_timeout says, since whoever comes later waits behind us; then
    everybody else goes first, and it is tried again. Raises RefusalError after LOCK_TRIES."""
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            await try_migration(connection, migration)
            return
        except asyncpg.LockNotAvailableError:
            holders = await describe_holders(connection)
            if tries_left == 0:
                raise MigrationError(explain_locked(migration, holders)) from None
            report(f"{migration.package}/{migration.name} waits for a lock. Open transactions: {holders}")
            await asyncio.sleep(LOCKED_PAUSE_S)


async def try_migration(connection: Executor, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")  # a large table takes its time
        await connection.execute(migration.sql, timeout=NO_LIMIT_S)
        await insert_migration(connection, migration)


async def describe_holders(connection: Executor) -> str:
    async with as_who_signed_in(connection):
        rows = await connection.fetch(load_sql("meter.runtime.postgres", "list_open_transactions"))
    known = [
        f"{row['application_name'] or 'no name'} (pid {row['pid']}, {row['age_s']} s)"
        for row in rows
        if row["age_s"] is not None
    ]
    if len(known) == len(rows):
        return "; ".join(known) or "none"
    return "; ".join([*known, "of other roles' sessions this one may not see it: ask as a superuser"])


@asynccontextmanager
async def as_who_signed_in(connection: Executor) -> AsyncIterator[None]:
    """For questions about other sessions: Postgres answers a superuser, and not `credit_owner`, whose rights this
    session has. Nothing of anybody's else runs in here."""
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE NONE")
        yield


def explain_locked(migration: Migration, holders: str) -> str:
    return (
        f"{migration.package}/{migration.name} was tried {LOCK_TRIES} times and got no lock: other sessions hold what "
        f"it changes. Nothing of it was applied. Open transactions: {holders}. End the old ones "
        "(pg_terminate_backend), or stop the services, and run `meter setup` again: it goes on here."
    )


async def insert_migration(connection: Executor, migration: Migration) -> None:
    statement = load_sql("meter.runtime.postgres", "insert_migration")
    await connection.execute(statement, migration.package, migration.number, migration.name, migration.checksum)


async def apply_outside(connection: Executor, migration: Migration, report: Report) -> None:
    """Run the statements one by one without a limit of time; recorded once all are done."""
    for statement in migration.statements():
        await run_statement(connection, statement, report)
    await insert_migration(connection, migration)


async def run_statement(connection: Executor, statement: str, report: Report) -> None:
    builds = BUILDS_INDEX.match(statement)
    if builds is None:
        await connection.execute(statement)
        return
    await connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")  # it waits for older transactions
    try:
        await build_index(connection, builds[1], statement, report)
    finally:
        await connection.execute("RESET statement_timeout; RESET lock_timeout")


async def build_index(connection: Executor, name: str, statement: str, report: Report) -> None:
    broken = await connection.fetchval(load_sql("meter.runtime.postgres", "find_invalid_index"), name)
    if broken:
        report(f"index {name}: left unfinished by an earlier run, dropped")
        await connection.execute(f"DROP INDEX CONCURRENTLY {broken}", timeout=NO_LIMIT_S)
    report(f"index {name}: being built")
    started = time.monotonic()
    await connection.execute(statement, timeout=NO_LIMIT_S)
    report(f"index {name}: built in {time.monotonic() - started:.1f} s")
