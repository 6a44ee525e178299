"""Postgres for the services: import from here. asyncpg is set up in this folder and nowhere else."""

from meter.runtime.postgres.citus import is_of_citus, is_on_citus, takes_one_shard
from meter.runtime.postgres.columns import transpose
from meter.runtime.postgres.failures import (
    MISCONFIGURED,
    NO_LOGIN,
    explain_argument,
    explain_misconfigured,
    is_transient,
)
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
    open_reading_pool,
    opened_pool,
)
from meter.runtime.postgres.set_up import check_set_up, not_set_up
from meter.runtime.postgres.snapshot import JsonRows, fetch_together
from meter.runtime.postgres.statements import load_sql
from meter.runtime.postgres.transactions import COMMITS, commit_alone, savepoint, tried, write_transaction

__all__ = [
    "COMMITS",
    "MISCONFIGURED",
    "NO_LOGIN",
    "Connection",
    "Executor",
    "JsonRows",
    "Pool",
    "check_set_up",
    "close_pool",
    "commit_alone",
    "connect",
    "create_pool",
    "explain_argument",
    "explain_misconfigured",
    "fetch_together",
    "guard_socket",
    "is_of_citus",
    "is_on_citus",
    "is_transient",
    "load_sql",
    "not_set_up",
    "note_failure",
    "open_pool",
    "open_reading_pool",
    "opened_pool",
    "savepoint",
    "takes_one_shard",
    "transpose",
    "tried",
    "write_transaction",
]
