"""Statements put together: each keeps its own parameters."""

from meter.runtime.postgres import snapshot


def test_parameters_follow_those_of_the_statements_before() -> None:
    assert snapshot.renumber("WHERE a = $1 AND b = ANY ($2::int[]) AND c = $10", 3) == (
        "WHERE a = $4 AND b = ANY ($5::int[]) AND c = $13"
    )


def test_each_statement_is_a_column_of_its_own_name() -> None:
    joined = snapshot.join_statements("notifier", (("fetch_open", 2), ("fetch_runways", 1)))
    assert "WHERE account_id = ANY($1) AND shard = ANY ($2)\n\n) AS r) AS fetch_open,\n" in joined
    assert joined.endswith("WHERE account_id = $3 AND empty_at IS NOT NULL\n\n) AS r) AS fetch_runways")
