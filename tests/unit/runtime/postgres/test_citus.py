"""Statements and errors where Citus has distributed the tables."""

import asyncpg
import pytest

from meter.runtime.postgres.citus import as_refusal, for_citus

NAMED = 'new row for relation "events_102009" violates check constraint "events_amount_check"'


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
