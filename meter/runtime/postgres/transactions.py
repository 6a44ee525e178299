"""Transactions that write what others rely on: their COMMIT is waited for, whatever it waits for.

With synchronous replicas a COMMIT waits until a standby has it. A COMMIT that is cancelled while it waits is done all
the same, on this server alone: what was built on it is lost with the server. asyncpg cancels a statement at its time
limit and when the task is cancelled, so a COMMIT gets neither. While one waits, readiness says no and why
(`PostgresProbe`); a server that is gone ends the connection, and one that hangs is what the watchdog is for, which ends
the process after `METERING_STALL_S`, and where the DSN names several hosts `watch_host`.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from meter.runtime.postgres.pool import Executor

T = TypeVar("T")

COMMIT_LIMIT_S = 30 * 86_400.0  # the driver takes no limit for its default, so a month


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
    await to_its_end(connection.execute("COMMIT", timeout=COMMIT_LIMIT_S))


async def commit_alone(connection: Executor, statement: str, *args: Any) -> list[asyncpg.Record]:
    """The rows of a statement outside any transaction, with which Postgres commits it: one round trip.

    The server's limit is on the statement and not on the COMMIT behind it; the client cannot tell one from the other,
    and has none."""
    return await to_its_end(connection.fetch(statement, *args, timeout=COMMIT_LIMIT_S))


async def to_its_end(committing: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(committing)
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
