"""Notices that the host which takes writes has changed while statements still wait for the old one.

A host that hangs keeps its connections open, and a statement that waits for it ends only at its own limit, half a
minute later. So where the DSN names several hosts, one connection asks the current one every second. Where it does not
answer and another host takes writes, every connection to the old one is ended. While no other host takes writes,
nothing is ended: the server may only be slow.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from meter.runtime.log import get_logger
from meter.runtime.postgres.failures import is_transient
from meter.runtime.postgres.hosts import Hosts

PAUSE_S = 1.0
ANSWER_S = 2.0

log = get_logger("postgres")


async def watch_host(hosts: Hosts, pause_s: float = PAUSE_S, answer_s: float = ANSWER_S) -> None:
    """Until cancelled. For a DSN with several hosts."""
    connection: asyncpg.Connection[Any] | None = None
    try:
        while True:
            try:
                connection = await look(hosts, connection, answer_s)
            except Exception:  # the loops meet the same error and decide what it means
                log.exception("postgres_watch_failed")
                if connection is not None:
                    connection.terminate()
                connection = None
            await asyncio.sleep(pause_s)
    finally:
        if connection is not None:
            connection.terminate()


async def look(
    hosts: Hosts, connection: asyncpg.Connection[Any] | None, answer_s: float
) -> asyncpg.Connection[Any] | None:
    """Ask once over the connection, or over a new one where it does not answer. Returns the one to ask next."""
    if connection is not None and await takes_writes(connection, answer_s):
        return connection
    if connection is not None:
        silent = hosts.where(connection)
        connection.terminate()
        if silent is not None:
            hosts.ask_last(silent)
    return await find_primary(hosts)


async def takes_writes(connection: asyncpg.Connection[Any], answer_s: float) -> bool:
    try:
        async with asyncio.timeout(answer_s):
            return not await connection.fetchval("SELECT pg_is_in_recovery()")
    except Exception as error:
        if not (is_transient(error) or isinstance(error, asyncpg.InterfaceError)):
            raise
        return False


async def find_primary(hosts: Hosts) -> asyncpg.Connection[Any] | None:
    """A connection to the host that takes writes now, and none to any other; None when no host takes writes."""
    try:
        connection = await hosts.connect(server_settings={"application_name": "credit-failover"})
    except Exception as error:
        if not is_transient(error):
            raise
        return None
    ended = hosts.end_others(connection)
    if ended:
        log.warning("postgres_failed_over", now=str(hosts.where(connection)), connections_ended=ended)
    return connection
