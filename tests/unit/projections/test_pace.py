"""The pauses between two folds."""

import pytest

from projections.pace import BALANCES, USAGE, Pace


@pytest.mark.parametrize(("pace", "shortest_s"), [(BALANCES, 0.02), (USAGE, 0.5)])
def test_the_pause_grows_with_the_piece_between_its_two_ends(pace: Pace, shortest_s: float) -> None:
    pauses = [pace.choose_pause(folded, shortest_s) for folded in range(0, 1_000_000, 1_000)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (shortest_s, pace.longest_s)


@pytest.mark.parametrize(("pace", "shortest_s"), [(BALANCES, 0.02), (USAGE, 0.5)])
def test_up_to_its_rate_the_pause_stays_the_shortest(pace: Pace, shortest_s: float) -> None:
    """A piece of what came in the pause leads to no longer one."""
    piece = int(shortest_s / pace.per_event_s)
    assert pace.choose_pause(piece, shortest_s) == pytest.approx(shortest_s)


def test_a_longer_pause_that_was_asked_for_is_kept() -> None:
    assert BALANCES.choose_pause(24_000, 5) == 5
