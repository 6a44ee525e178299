"""How large the next piece of a shard is after one that took too long."""

from projections.piece_sizes import FEWEST_EVENTS, PieceSizes
from projections.plan import PositionRange, count_events

MOST = 200_000
LIMIT_S = 30.0


def waiting(shard: int, events: int = MOST) -> PositionRange:
    return PositionRange(shard, 5, 5 + events)


def test_nobody_is_cut_who_was_never_cancelled() -> None:
    sizes = PieceSizes(MOST)
    sizes.note_folded([waiting(1)], LIMIT_S * 2)
    assert sizes.cut(waiting(1)) == waiting(1) and not sizes.is_apart(1)


def test_of_several_each_is_tried_by_itself_before_one_is_cut() -> None:
    sizes = PieceSizes(MOST)
    assert sizes.note_cancelled([waiting(1, 800), waiting(2, 100)], LIMIT_S)
    assert [sizes.is_apart(shard) for shard in (1, 2, 3)] == [True, True, False]
    assert sizes.cut(waiting(1)) == waiting(1)
    sizes.note_folded([waiting(2, 100)], 0.1)
    assert not sizes.is_apart(2)


def test_any_number_of_events_gets_down_to_what_is_quick_and_up_again() -> None:
    """Ten of them take as long as a statement may: none is too few, so that the last step is refused."""
    sizes, tried = PieceSizes(MOST), []
    while sizes.note_cancelled([piece := sizes.cut(waiting(1))], LIMIT_S):
        tried.append(count_events([piece]))
    assert tried[:3] == [MOST, MOST // 2, MOST // 4]
    assert count_events([sizes.cut(waiting(1))]) == FEWEST_EVENTS and len(tried) <= 12
    folded = 0
    while sizes.is_apart(1):
        sizes.note_folded([sizes.cut(waiting(1))], LIMIT_S / 10)
        folded += 1
    assert folded <= 12 and sizes.cut(waiting(1)) == waiting(1)


def test_what_is_just_quick_enough_stays_as_it_is() -> None:
    """Twice as much would be cancelled, and cost a time limit in every second transaction."""
    sizes = PieceSizes(MOST)
    assert sizes.note_cancelled([waiting(1)], LIMIT_S)
    for _ in range(20):
        sizes.note_folded([sizes.cut(waiting(1))], LIMIT_S / 2)
    assert count_events([sizes.cut(waiting(1))]) == MOST // 2


def test_the_half_is_of_what_was_tried() -> None:
    sizes = PieceSizes(MOST)
    assert sizes.note_cancelled([waiting(1, 5_000)], LIMIT_S)
    assert count_events([sizes.cut(waiting(1))]) == 2_500


def test_a_statement_that_is_cancelled_before_it_has_anything_is_not_of_the_events() -> None:
    assert not PieceSizes(MOST).note_cancelled([], LIMIT_S)
