"""Statements and errors where Citus has distributed the tables."""

from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from meter.runtime.postgres.citus import ServiceConnection, as_refusal, for_citus
from meter.runtime.postgres.failures import is_transient

NAMED = 'new row for relation "events_102009" violates check constraint "events_amount_check"'
INTERNAL, OF_FILE = asyncpg.InternalServerError, asyncpg.PostgresIOError


class Unopened(ServiceConnection):
    def __del__(self) -> None:
        """It was never open."""


def test_what_only_citus_needs_is_opened_and_the_rest_stays() -> None:
    statement = "SELECT a FROM t WHERE a = $1 /*citus AND shard = $2 */ ORDER BY /*citus -- */ a,\n b"
    assert for_citus(statement) == "SELECT a FROM t WHERE a = $1 AND shard = $2  ORDER BY --  a,\n b"


@pytest.mark.parametrize(
    ("said", "kind", "name"),
    [
        (
            'duplicate key value violates unique constraint "events_identity_102009"',
            asyncpg.UniqueViolationError,
            "events_identity_102009",
        ),
        (NAMED, asyncpg.CheckViolationError, "events_amount_check"),
        ('null value in column "type" of relation "events_102009"', asyncpg.NotNullViolationError, "type"),
    ],
)
def test_what_a_node_refuses_in_words_is_the_error_that_it_was(
    said: str, kind: type[asyncpg.PostgresError], name: str
) -> None:
    refusal = as_refusal(asyncpg.InternalServerError(said))
    assert type(refusal) is kind
    assert refusal.constraint_name == name


def test_another_internal_error_stays_what_it_is() -> None:
    error = asyncpg.InternalServerError("out of shared memory")
    assert as_refusal(error) is error


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (INTERNAL, "failure on connection marked as essential: citus-2.example.com:5432"),
        (INTERNAL, "connection to the remote node credit_meter@citus-2.example.com:5432 failed"),
        (INTERNAL, "terminating connection due to administrator command"),
        (INTERNAL, "could not commit transaction for shard 102009 on at least one active node"),
        (OF_FILE, "failed to COPY to shard 102009 on citus-2.example.com:5432"),
        (OF_FILE, "failed to complete COPY on citus-2.example.com:5432"),
    ],
)
def test_a_node_that_went_away_is_tried_again(kind: type[asyncpg.PostgresError], said: str) -> None:
    assert is_transient(kind(said))


@pytest.mark.parametrize(
    ("kind", "said"),
    [(INTERNAL, "cache lookup failed for relation 1"), (OF_FILE, "could not read block 7 in file: Input/output error")],
)
def test_another_error_of_these_is_a_bug_or_a_broken_disk(kind: type[asyncpg.PostgresError], said: str) -> None:
    assert not is_transient(kind(said))


async def test_a_commit_that_a_node_did_not_answer_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """Citus warns, and says that all is well."""
    connection = object.__new__(Unopened)
    connection.on_citus = True
    listeners: list[Any] = []
    monkeypatch.setattr(ServiceConnection, "add_log_listener", lambda _self, note: listeners.append(note))
    monkeypatch.setattr(ServiceConnection, "remove_log_listener", lambda _self, note: listeners.remove(note))

    async def execute(_self: object, _query: str, *_args: object, **_options: object) -> str:
        for note in listeners:
            note(connection, SimpleNamespace(message="failed to commit transaction on citus-2.example.com:5432"))
        return "COMMIT"

    monkeypatch.setattr(asyncpg.Connection, "execute", execute)
    with pytest.raises(asyncpg.ConnectionFailureError, match="failed to commit"):
        await connection.execute("COMMIT")
    assert await connection.execute("SELECT 1") == "COMMIT"
    assert listeners == []
