"""How long the fold waits for more."""

import pytest

from projections.plan import PositionRange
from projections.runner import LONGEST_PAUSE_S, choose_pause
from projections.store import share


@pytest.mark.parametrize(
    ("folded", "pause_s"),
    [(1, 0.02), (1_000, 0.02), (5_000, 0.1), (12_500, LONGEST_PAUSE_S), (24_000, LONGEST_PAUSE_S)],
)
def test_the_pause_grows_with_what_was_folded(folded: int, pause_s: float) -> None:
    assert choose_pause(folded, 0.02) == pytest.approx(pause_s)


def test_a_longer_pause_that_is_set_is_kept() -> None:
    assert choose_pause(24_000, 5) == 5


def test_ranges_share_what_may_be_folded_at_once() -> None:
    ranges = [PositionRange(0, 10, 40), PositionRange(1, 0, 100), PositionRange(2, 0, 5)]
    assert share(ranges, 200) == ranges
    assert share(ranges, 50) == [PositionRange(0, 10, 40), PositionRange(1, 0, 20)]
    assert share(ranges, 1) == [PositionRange(0, 10, 11)]
