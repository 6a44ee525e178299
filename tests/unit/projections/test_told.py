"""Told levels a second time: by the examples of the design."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from projections.told import Begun, Listing, Person, Saying, Start, Story, find_levels, highest_line

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANN, BOB = "ann@example.com", "bob@example.com"
CREDITS = "model_credits"


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def said(line: int, *, at: int, epoch: int = 1, to: str = ANN) -> Saying:
    return Saying(to, minute(at), CREDITS, epoch, line)


def level(
    *sayings: Saying,
    starts: Sequence[int] = (0,),
    listings: Sequence[tuple[int, Sequence[str]]] = ((1, (ANN,)),),
    joined: Mapping[str, int | None] | None = None,
    of: str = ANN,
    known: Start | None = None,
    since: int = 0,
) -> int:
    """Epoch n begins at position 10·n, at the n-th line of `starts`. `joined`: minutes; None for before the record."""
    people = {
        address: Person(address, None if at is None else minute(at), {CREDITS: known} if known and at is None else {})
        for address, at in (joined or {ANN: 0}).items()
    }
    begun = {CREDITS: [Begun(number, 10 * number, line) for number, line in enumerate(starts, 1)]}
    story = Story(begun, [Listing(*listing) for listing in listings], people, sayings, since)
    return find_levels(story)[of, CREDITS]


def test_nothing_was_told_without_a_letter() -> None:
    assert level() == 0


def test_within_an_epoch_the_highest_line_counts_in_any_order() -> None:
    assert level(said(90, at=1), said(50, at=2)) == 90


@pytest.mark.parametrize(("start", "wanted"), [(80, 80), (50, 50), (0, 0), (90, 90)])
def test_an_epoch_lowers_to_the_line_that_it_begins_at(start: int, wanted: int) -> None:
    assert level(said(90, at=1), starts=(0, start)) == wanted


def test_the_lowest_of_several_epochs_counts() -> None:
    assert level(said(90, at=1), starts=(0, 0, 80)) == 0
    assert level(said(90, at=1), said(70, at=2, epoch=2), starts=(0, 0, 80)) == 70


def test_a_letter_counts_in_the_epoch_of_its_bytes_however_late_it_was_accepted() -> None:
    assert level(said(90, at=99), starts=(0, 50)) == 50
    assert level(said(90, at=99, epoch=2), starts=(0, 50)) == 90


def test_who_joins_knows_what_those_who_stay_were_told_by_then() -> None:
    listings = [(1, (ANN,)), (15, (ANN, BOB))]
    joined = {ANN: 0, BOB: 5}
    assert level(said(80, at=4), listings=listings, joined=joined, of=BOB) == 80
    assert level(said(80, at=6), listings=listings, joined=joined, of=BOB) == 0
    assert level(said(80, at=4), said(90, at=6), listings=listings, joined=joined, of=BOB) == 80


def test_what_a_newcomer_took_over_is_lowered_by_later_epochs_alone() -> None:
    listings = [(1, (ANN,)), (25, (ANN, BOB))]
    joined = {ANN: 0, BOB: 5}
    assert level(said(80, at=4), starts=(0, 70, 50), listings=listings, joined=joined, of=BOB) == 50
    assert level(said(80, at=4, epoch=2), starts=(0, 0), listings=listings, joined=joined, of=BOB) == 80


def test_who_joins_nobody_knows_nothing() -> None:
    assert level(said(80, at=4), listings=[(1, (ANN,)), (15, (BOB,))], joined={ANN: 0, BOB: 5}, of=BOB) == 0
    assert level(said(80, at=4), listings=[(1, (ANN,)), (12, ()), (15, (BOB,))], joined={ANN: 0, BOB: 5}, of=BOB) == 0


def test_who_returns_keeps_what_they_knew() -> None:
    listings = [(1, (ANN,)), (11, (BOB,)), (15, (ANN, BOB))]
    sayings = (said(50, at=1), said(90, at=3, to=BOB))
    assert level(*sayings, listings=listings, joined={ANN: 0, BOB: 2}) == 50


def test_a_chain_of_newcomers_passes_on_what_is_known() -> None:
    people = [f"c{number}@example.com" for number in range(40)]
    listings = [(10 + number, people[: number + 1]) for number in range(40)]
    joined = {address: 10 + number for number, address in enumerate(people)}
    told = said(70, at=11, to=people[0])
    assert level(told, listings=listings, joined=joined, of=people[1]) == 0
    assert level(told, listings=listings, joined=joined, of=people[-1]) == 70


def test_before_the_record_began_the_level_of_then_counts() -> None:
    assert level(joined={ANN: None}, known=Start(1, 80)) == 80
    assert level(joined={ANN: None}, known=Start(1, 80), starts=(0, 70)) == 70
    assert level(said(90, at=1), joined={ANN: None}, known=Start(1, 80)) == 90


def test_who_left_before_the_record_began_joins_when_they_return() -> None:
    listings = [(1, (BOB,)), (2, (ANN,)), (30, (ANN, BOB))]
    told = said(80, at=4)
    assert level(told, listings=listings, joined={ANN: None, BOB: 5}, of=BOB, since=10) == 80


def test_lines_are_reached_exactly() -> None:
    lines = (50, 70, 90)
    assert [highest_line(used, 100, lines) for used in (49, 50, 69, 70, 100)] == [0, 50, 50, 70, 90]
    assert highest_line(0, 0, lines) == 90 and highest_line(10, 75, ()) == 0
