"""Transactions that write what others rely on: their COMMIT is waited for, whatever it waits for.

With synchronous replicas a COMMIT waits until a standby has it. A COMMIT that is cancelled while it waits is done all
the same, on this server alone: what was built on it is lost with the server. asyncpg cancels a statement at its time
limit and when the task is cancelled, so a COMMIT gets neither. While one waits, readiness says no and why
(`PostgresProbe`), and as long as the server itself says that it works at it (`COMMITS`) the watchdog takes it for no
stall: the next process would wait for the same standby, or the same slow disk. A server that is gone ends the
connection, and one that hangs is what the watchdog is for, which ends the process after `METERING_STALL_S`, and where
the DSN names several hosts `watch_host`.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import asyncpg

from meter.runtime.postgres.pool import Executor

T = TypeVar("T")

COMMIT_LIMIT_S = 30 * 86_400.0  # the driver takes no limit for its default, so a month


class Commits:
    """The COMMITs of this process that are under way, and which of them the server works at.

    One is believed to be only where it was under way when the probe asked before: under load some are at any moment.
    """

    def __init__(self) -> None:
        self._under_way: dict[object, int] = {}  # the process of the server, by COMMIT
        self._seen: frozenset[object] = frozenset()  # those that were under way when the probe asked last
        self._held: frozenset[object] = frozenset()

    @contextmanager
    def under_way(self, connection: Executor) -> Iterator[None]:
        this = object()
        self._under_way[this] = connection.get_server_pid()
        try:
            yield
        finally:
            del self._under_way[this]

    @property
    def any_under_way(self) -> bool:
        return bool(self._under_way)

    def note_working(self, pids: Collection[int]) -> None:
        """The processes of the server that are at work for our role; none where it does not answer."""
        self._held = frozenset(this for this in self._seen if self._under_way.get(this) in pids)
        self._seen = frozenset(self._under_way)

    def are_waited_for(self) -> bool:
        """Whether one takes long and the server has said that it is at it."""
        return any(this in self._under_way for this in self._held)


COMMITS: Final = Commits()  # of the process, as there is one probe of it


@asynccontextmanager
async def write_transaction(connection: Executor) -> AsyncIterator[None]:
    """BEGIN and COMMIT, or ROLLBACK on any error. Inside, `tried` takes the place of `connection.transaction`."""
    await connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    await commit(connection)


async def commit(connection: Executor) -> None:
    """COMMIT to its end, in spite of a cancellation, which is raised afterwards."""
    await to_its_end(connection, connection.execute("COMMIT", timeout=COMMIT_LIMIT_S))


async def commit_alone(connection: Executor, statement: str, *args: Any) -> list[asyncpg.Record]:
    """The rows of a statement outside any transaction, with which Postgres commits it: one round trip.

    The server's limit is on the statement and not on the COMMIT behind it; the client cannot tell one from the other,
    and has none."""
    return await to_its_end(connection, connection.fetch(statement, *args, timeout=COMMIT_LIMIT_S))


async def to_its_end(connection: Executor, committing: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(committing)
    with COMMITS.under_way(connection):
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            task.exception()
            raise


@asynccontextmanager
async def tried(connection: Executor) -> AsyncIterator[None]:
    """A savepoint that is always rolled back, inside a transaction of ours."""
    await connection.execute("SAVEPOINT tried")
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("ROLLBACK TO SAVEPOINT tried")


@asynccontextmanager
async def savepoint(connection: Executor) -> AsyncIterator[None]:
    """Inside a transaction, of ours or of asyncpg: an error takes back what was done since, and no more."""
    await connection.execute("SAVEPOINT attempt")
    try:
        yield
    except Exception:
        if not connection.is_closed():
            await connection.execute("ROLLBACK TO SAVEPOINT attempt")
        raise
    await connection.execute("RELEASE SAVEPOINT attempt")
