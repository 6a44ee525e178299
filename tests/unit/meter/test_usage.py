"""What `meter usage` looks through, and what it says of that."""

from datetime import UTC, datetime

import pytest
import typer

from meter.store.usage import PIECE_EVENTS, Looked, Piece, pieces
from meter.usage_cli import describe_looked, read_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_newest_comes_first_and_no_more_than_asked_for() -> None:
    n = PIECE_EVENTS
    assert pieces(2 * n + 5, 10 * n) == [Piece(n + 6, 2 * n + 5), Piece(6, n + 5), Piece(1, 5)]
    assert pieces(2 * n + 5, n + 1) == [Piece(n + 6, 2 * n + 5), Piece(n + 5, n + 5)]
    assert pieces(3, 1) == [Piece(3, 3)] and pieces(0, n) == []


def test_it_says_how_far_it_looked() -> None:
    looked = Looked(2, 250_000, NOW, is_all=False)
    start = "looked at the newest 250,000 events of shard 2, stored since 2026-03-01 12:00:00 UTC"
    assert describe_looked(looked, full=True) == f"{start}; for more: --limit"
    assert describe_looked(looked, full=False) == f"{start}; for more: --look-at"
    assert describe_looked(looked._replace(is_all=True), full=False) == f"{start}: that is all"
    assert describe_looked(Looked(2, 0, None, is_all=True), full=False) == "shard 2 has no event"


def test_a_day_is_read_as_utc() -> None:
    assert read_time("2026-03-01T12:00") == read_time("2026-03-01T13:00+01:00") == NOW
    for text in "yesterday", "", "2026-13-01", "1":
        with pytest.raises(typer.BadParameter):
            read_time(text)
