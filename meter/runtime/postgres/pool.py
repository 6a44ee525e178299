"""The Postgres pool and what its errors mean. asyncpg is set up only here."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from meter.runtime.dsn_parameters import connect_timeout_s, for_driver
from meter.runtime.errors import SettingsError
from meter.runtime.postgres.certificates import FollowingTls, check_files
from meter.runtime.postgres.citus import ServiceConnection
from meter.runtime.postgres.failover import watch_host
from meter.runtime.postgres.hosts import NO_POOLER, hosts_for, hosts_of
from meter.runtime.postgres.plans import FIRST_S, SETTINGS, Replanning
from meter.runtime.postgres.statements import load_sql
from meter.runtime.settings import Settings

Pool = asyncpg.Pool
Connection = asyncpg.Connection
Executor = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

KEEPALIVE_IDLE_S = 15
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_PROBES = 3
# Unacknowledged bytes for this long: the peer is gone. Keepalive alone does not see that while data is in flight.
USER_TIMEOUT_MS = 30_000


async def create_pool(
    dsn: str,
    *,
    min_size: int = 1,
    max_size: int = 8,
    application_name: str,
    command_timeout_s: float = 30,
    lock_timeout_s: float = 10,
    connect_timeout_s: float = 10,
    role: str | None = None,
    plan_once: bool = False,
    by_index: bool = False,
    work_mem: str | None = None,
    replan_s: float = FIRST_S,
) -> Pool:
    """Open a pool whose statements, locks, transactions and sockets all have a deadline.

    With `role` its sessions have the rights of that role, and look names up in pg_catalog alone.
    With `plan_once` a statement is planned once for all arguments, for what is planned for longer than it runs.
    With `by_index` that holds too, no table is read whole where an index leads to the rows, and plans are made anew
    after `replan_s`, and then less and less often. `work_mem`: room for the aggregates of its statements.

    A black-holed connection otherwise hangs for ever: asyncpg sets no keepalive and no timeout of its own.
    """
    statement_ms = int(command_timeout_s * 1000)
    replanning = Replanning(replan_s) if by_index else None

    async def begin(connection: Any) -> None:
        await prepare_session(connection, statement_ms)
        if replanning is not None:
            replanning.begin(connection)

    return await asyncpg.create_pool(
        dsn,
        connect=hosts_of(dsn).connect,
        connection_class=ServiceConnection,
        min_size=min_size,
        max_size=max_size,
        timeout=connect_timeout_s,
        # The server's own limit comes first, so that its clear error arrives; the client's is for a silent server.
        command_timeout=command_timeout_s + 5,
        target_session_attrs=SessionAttribute.read_write,
        server_settings={
            "application_name": application_name,
            "timezone": "UTC",
            "statement_timeout": str(statement_ms),
            "lock_timeout": str(int(lock_timeout_s * 1000)),
            "idle_in_transaction_session_timeout": str(2 * statement_ms),
            **({"role": role, "search_path": "pg_catalog"} if role else {}),
            **({"plan_cache_mode": "force_generic_plan"} if plan_once else {}),
            **(SETTINGS if by_index else {}),
            **({"work_mem": work_mem} if work_mem else {}),
        },
        init=begin,
        setup=replanning.renew if replanning is not None else None,
        reset=leave_session,
        # Its own choice is to prepare statements anew after 300 s. Plans are enough.
        max_cached_statement_lifetime=0 if by_index else 300,
        # Its own choice is to prepare one of more than 15 KiB anew each time, which takes longer than a small fold.
        max_cacheable_statement_size=0,
    )


async def open_reading_pool(dsn: str, *, max_size: int = 8, command_timeout_s: float = 10) -> Pool:
    """For readers of balances, directly or through PgBouncer in transaction mode.

    There, the next statement may meet another server connection: so no statement is prepared for later, and no setting
    is sent at the start, which PgBouncer refuses. The role's own limits hold.
    """
    check_files(dsn)
    tls = FollowingTls(dsn)

    async def open_one(dsn: Any = None, **options: Any) -> "asyncpg.Connection[Any]":
        return cast("asyncpg.Connection[Any]", await asyncpg.connect(dsn, **options, **tls.options()))

    return await asyncpg.create_pool(
        for_driver(dsn), connect=open_one, min_size=0, max_size=max_size, timeout=connect_timeout_s(dsn) or 10,
        command_timeout=command_timeout_s, statement_cache_size=0, init=guard_socket, reset=leave_session,
    )  # fmt: skip


async def leave_session(_connection: Any) -> None:
    """Reset a connection that is given back: nothing to do, the rollback of an open transaction is enough.

    Settings are made for one transaction, locks on a session are given up by who took them, LISTEN has a connection of
    its own. asyncpg's own four statements cost every transaction a round trip.
    """


async def open_pool(
    settings: Settings,
    application_name: str,
    role: str | None = None,
    *,
    plan_once: bool = False,
    by_index: bool = False,
    work_mem: str | None = None,
) -> Pool:
    """The pool of a service, by its settings."""
    hosts_for(settings)
    return await create_pool(
        settings.postgres_dsn,
        min_size=1,
        max_size=settings.postgres_pool_size,
        application_name=application_name,
        command_timeout_s=settings.postgres_timeout_s,
        lock_timeout_s=settings.postgres_lock_timeout_s,
        role=role,
        plan_once=plan_once,
        by_index=by_index,
        work_mem=work_mem,
    )


@asynccontextmanager
async def opened_pool(
    settings: Settings,
    application_name: str,
    role: str | None = None,
    *,
    plan_once: bool = False,
    by_index: bool = False,
    work_mem: str | None = None,
) -> AsyncIterator[Pool]:
    """The pool of a service or a command, closed at the end of the block. It follows a fail-over to another host."""
    pool = await open_pool(settings, application_name, role, plan_once=plan_once, by_index=by_index, work_mem=work_mem)
    hosts = hosts_for(settings)
    watch = asyncio.create_task(watch_host(hosts)) if hosts.several else None
    try:
        yield pool
    finally:
        if watch is not None:
            watch.cancel()
            await asyncio.wait({watch})
        await close_pool(pool)


async def connect(dsn: str, application_name: str) -> Connection:
    """One connection, for what must not wait for the pool."""
    connection = await hosts_of(dsn).connect(
        timeout=10, command_timeout=10, server_settings={"application_name": application_name}
    )
    await guard_socket(connection)
    return connection


async def close_pool(pool: Pool, timeout_s: float = 5) -> None:
    """Close within a deadline: `Pool.close` waits without end for a connection that nobody gives back."""
    try:
        async with asyncio.timeout(timeout_s):
            await pool.close()
    except (TimeoutError, OSError, asyncpg.InterfaceError):
        pool.terminate()


async def prepare_session(connection: Any, statement_ms: int) -> None:
    """Raises SettingsError where the limits of the session were dropped on the way to Postgres."""
    await guard_socket(connection)
    limit_ms = await connection.fetchval(load_sql("meter.runtime.postgres", "fetch_statement_timeout"))
    if limit_ms != statement_ms:
        raise SettingsError(
            f"the limits of a session do not reach Postgres: statement_timeout is {limit_ms} ms there and was set to "
            f"{statement_ms}. {NO_POOLER}"
        )
    await connection.execute(load_sql("meter.runtime.postgres", "keep_durability"))
    await connection.ask_server()


async def guard_socket(connection: Any) -> None:
    """Have the kernel notice a dead peer."""
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
    )
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options:
        if hasattr(socket, name):  # TCP_USER_TIMEOUT is Linux's
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def note_failure(pool: Pool, error: BaseException) -> None:
    """After a fail-over every idle connection still leads to the old, now read-only or vanished server: drop them."""
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError | asyncpg.PostgresConnectionError | OSError):
        await pool.expire_connections()
