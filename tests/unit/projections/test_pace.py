"""The pauses between two folds."""

import pytest

from projections.pace import BALANCES, USAGE, Pace
from projections.store_usage import Folded


@pytest.mark.parametrize(("pace", "shortest_s"), [(BALANCES, 0.008), (USAGE, 0.5)])
def test_the_pause_grows_with_the_piece_between_its_two_ends(pace: Pace, shortest_s: float) -> None:
    pauses = [pace.choose_pause(folded, shortest_s) for folded in range(0, 1_000_000, 1_000)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (shortest_s, pace.longest_s)


@pytest.mark.parametrize(("pace", "shortest_s"), [(BALANCES, 0.008), (USAGE, 0.5)])
def test_up_to_its_rate_the_pause_stays_the_shortest(pace: Pace, shortest_s: float) -> None:
    """A piece of what came in the pause leads to no longer one."""
    piece = int(shortest_s / pace.per_event_s)
    assert pace.choose_pause(piece, shortest_s) == pytest.approx(shortest_s)


def test_a_longer_pause_that_was_asked_for_is_kept() -> None:
    assert BALANCES.choose_pause(24_000, 5) == 5


@pytest.mark.parametrize("rate", [1_000, 10_000, 25_000, 100_000])
def test_shards_folded_one_after_another_rest_as_long_as_all_together(rate: int) -> None:
    """Each of twelve has waited for one twelfth of a round longer than the one before it."""
    round_s, shards = 3.0, 12
    ages = [round_s * number / shards for number in range(1, shards + 1)]
    done = Folded(round(rate / shards * round_s), round(sum(rate / shards * age for age in ages)))
    assert done.together == pytest.approx(rate * round_s, rel=0.01)
    whole = USAGE.choose_pause(done.together, 0.5)
    assert USAGE.share_pause(done.events, done.together, 0.5) * shards == pytest.approx(whole, rel=0.01)


def test_after_nothing_the_pause_is_the_shortest() -> None:
    assert USAGE.share_pause(0, 0, 0.5) == 0.5
