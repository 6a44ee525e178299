"""How one transaction's events are shared between shards."""

from projections.plan import PositionRange
from projections.store import share


def test_ranges_share_what_may_be_folded_at_once() -> None:
    ranges = [PositionRange(0, 10, 40), PositionRange(1, 0, 100), PositionRange(2, 0, 5)]
    assert share(ranges, 200) == ranges
    assert share(ranges, 50) == [PositionRange(0, 10, 40), PositionRange(1, 0, 20)]
    assert share(ranges, 1) == [PositionRange(0, 10, 11)]
