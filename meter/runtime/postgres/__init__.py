"""Postgres for the services: import from here. asyncpg is set up in this wing and nowhere else."""

from meter.runtime.postgres.failures import MISCONFIGURED, explain_misconfigured, is_transient
from meter.runtime.postgres.pool import (
    Connection,
    Executor,
    Pool,
    close_pool,
    connect,
    create_pool,
    guard_socket,
    note_failure,
    open_pool,
)
from meter.runtime.postgres.statements import load_sql

__all__ = [
    "MISCONFIGURED",
    "Connection",
    "Executor",
    "Pool",
    "close_pool",
    "connect",
    "create_pool",
    "explain_misconfigured",
    "guard_socket",
    "is_transient",
    "load_sql",
    "note_failure",
    "open_pool",
]
