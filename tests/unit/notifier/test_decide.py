"""What a changed balance means: exact lines, epochs, reversals, jumps."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.decide import BalanceSnapshot, Channel, Notice, NoticeState, Outcome, Thresholds, decide, find_banner
from schemas.amounts import MICRO
from tests.unit.notifier.builders import AT, balance, percent

LINES = Thresholds()
BANNER_LINES = (20, 50, 70, 80, 90, 100)


@dataclass
class Story:
    """Feeds changes one by one, as the store would hold them between two."""

    thresholds: Thresholds = LINES
    state: NoticeState = field(default_factory=NoticeState)
    notices: list[Notice] = field(default_factory=list)
    banner: int | None = None

    def tell(self, *changes: BalanceSnapshot) -> list[tuple[str, int, str]]:
        """The notices that came of these changes."""
        before = len(self.notices)
        for change in changes:
            self._tell(change)
        return [(n.channel.value, n.threshold, n.outcome.value) for n in self.notices[before:]]

    def _tell(self, change: BalanceSnapshot) -> None:
        decision = decide(self.state, change, self.thresholds, AT)
        self.state = decision.state
        if decision.new:
            self.banner = decision.banner
            self.notices += decision.notices


def emails(told: Sequence[tuple[str, int, str]]) -> list[tuple[int, str]]:
    return [(threshold, outcome) for channel, threshold, outcome in told if channel == "email"]


def banners(told: Sequence[tuple[str, int, str]]) -> list[tuple[int, str]]:
    return [(threshold, outcome) for channel, threshold, outcome in told if channel == "banner"]


@pytest.mark.parametrize("allocation", [75 * MICRO, 10_000 * MICRO, 1, 3, 7 * MICRO + 1])
@pytest.mark.parametrize("line", BANNER_LINES)
def test_a_line_is_crossed_exactly_where_it_is(allocation: int, line: int) -> None:
    at_line = -(-line * allocation // 100)  # the first whole micro-unit that is at or above the line
    below, exact, above = (
        Story().tell(balance(0, 1, allocation=allocation), balance(consumed, 2, allocation=allocation))
        for consumed in (at_line - 1, at_line, at_line + 1)
    )
    assert ("banner", line, "delivered") not in below and all(threshold < line for _, threshold, _ in below)
    assert line in [threshold for threshold, _ in banners(exact)]
    assert line in [threshold for threshold, _ in banners(above)]
    assert (line in [threshold for threshold, _ in emails(exact)]) == (line in LINES.email)


@pytest.mark.parametrize(("allocation", "step"), [(75 * MICRO, MICRO // 4), (10_000 * MICRO, MICRO)])
def test_counting_in_steps_hits_every_line_once_and_exactly(allocation: int, step: int) -> None:
    story = Story()
    for position, consumed in enumerate(range(0, allocation + 5 * step, step), start=1):
        story.tell(balance(consumed, position, allocation=allocation))
    delivered = [(n.channel, n.threshold, n.balance.consumed) for n in story.notices]
    assert {n.outcome for n in story.notices} == {Outcome.DELIVERED}
    expected = {(Channel.BANNER, line, line * allocation // 100) for line in BANNER_LINES}
    expected |= {(Channel.EMAIL, line, line * allocation // 100) for line in LINES.email}
    assert set(delivered) == expected and len(delivered) == len(expected)
    assert story.banner == 100


def test_a_jump_delivers_the_highest_and_supersedes_the_others() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(45, 2))
    told = story.tell(percent(85, 3))
    assert emails(told) == [(50, "superseded"), (70, "superseded"), (80, "delivered")]
    assert banners(told) == [(50, "superseded"), (70, "superseded"), (80, "delivered")]
    assert story.banner == 80


def test_an_exhausted_account_gets_the_fixed_banner_and_no_email_for_it() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(95, 2))
    assert story.tell(percent(100, 3)) == [("banner", 100, "delivered")]
    assert story.tell(percent(130, 4)) == []


def test_what_is_true_when_an_epoch_starts_is_seeded_silently() -> None:
    assert Story().tell(percent(75, 1)) == [
        ("banner", 20, "seeded"), ("banner", 50, "seeded"), ("banner", 70, "seeded"),
        ("email", 50, "seeded"), ("email", 70, "seeded"),
    ]  # fmt: skip


def test_a_top_up_lowers_the_banner_and_arms_the_lines_above_it_again_once_each() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(95, 2))
    told = story.tell(percent(40, 3, epoch=2))
    assert told == [("banner", 20, "seeded")]
    assert story.banner == 20
    told = story.tell(*(percent(whole, whole, epoch=2) for whole in range(41, 100)))
    assert emails(told) == [(line, "delivered") for line in (50, 70, 80, 90)]
    assert banners(told) == [(line, "delivered") for line in (50, 70, 80, 90)]


def test_the_lines_of_an_earlier_epoch_lose_no_email_of_the_next() -> None:
    everything = frozenset((channel, line) for channel in Channel for line in LINES.channel(channel))
    first = decide(NoticeState(percent(95, 5), everything), percent(0, 6, epoch=2), LINES, AT)
    assert first.state == NoticeState(percent(0, 6, epoch=2)) and not first.notices
    second = decide(first.state, percent(50, 7, epoch=2), LINES, AT)
    delivered = {(n.channel, n.threshold) for n in second.notices if n.outcome is Outcome.DELIVERED}
    assert delivered == {(Channel.BANNER, 50), (Channel.EMAIL, 50)}


def test_a_change_that_is_not_newer_leaves_the_state_as_it_is() -> None:
    state = NoticeState(percent(60, 5), frozenset({(Channel.EMAIL, 50)}))
    for late in (percent(60, 5), percent(95, 4), percent(0, 3, epoch=2)):
        decision = decide(state, late, LINES, AT)
        assert not decision.new and decision.state == state and not decision.notices


def test_a_reversal_lowers_the_banner_at_once_and_sends_nothing_twice() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(51, 2))
    assert story.tell(percent(49, 3)) == []
    assert story.banner == 20
    assert story.tell(percent(51, 4), percent(48, 5), percent(69, 6)) == []
    assert story.banner == 50


def test_a_reversal_below_the_lowest_line_clears_the_banner() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(21, 2), percent(19, 3))
    assert story.banner is None
    assert find_banner(balance(-5, 4), LINES) is None


def test_what_is_not_newer_changes_nothing() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(60, 5))
    assert story.tell(percent(60, 5), percent(10, 4), percent(95, 3)) == []
    assert story.state.balance == percent(60, 5)


def test_usage_before_the_account_is_known_is_no_notice() -> None:
    assert Story().tell(balance(5 * MICRO, 1, allocation=0, epoch=0)) == []
    assert find_banner(balance(5 * MICRO, 1, allocation=0, epoch=0), LINES) is None


def test_an_allocation_of_nothing_is_exhausted() -> None:
    change = balance(5 * MICRO, 1, allocation=0, epoch=2)
    assert change.percent == 100
    assert Story().tell(change)[-1][2] == "seeded"
    assert find_banner(change, LINES) == 100
    reversed_ = balance(-1, 2, allocation=0, epoch=2)
    assert reversed_.percent == 0 and find_banner(reversed_, LINES) is None


def test_a_line_added_below_what_was_told_before_is_superseded() -> None:
    story = Story()
    story.tell(percent(0, 1), percent(75, 2))
    story.thresholds = Thresholds.of([20, 60, 100], [60, 70, 90])
    assert story.tell(percent(76, 3)) == [("banner", 60, "superseded"), ("email", 60, "superseded")]


def test_thresholds_are_put_in_order_and_given_once() -> None:
    assert Thresholds.of([90, 20, 20], []) == Thresholds(banner=(20, 90), email=())


# --- whatever the cuts -----------------------------------------------------------------------------------------------

# One epoch of an account: where it starts, and the steps that consumption takes from there, in micro-units.
epochs = st.lists(
    st.tuples(st.integers(1, 500), st.integers(0, 120), st.lists(st.integers(0, 90), max_size=12)),
    min_size=1,
    max_size=4,
)


def changes_of(story: list[tuple[int, int, list[int]]], kept: Sequence[bool]) -> list[BalanceSnapshot]:
    """Changes as they come; those in the midst of an epoch's consumption may fall away where batches are larger."""
    found, position, choice = [], 0, iter(kept)
    for number, (allocation, start, steps) in enumerate(story, start=1):
        consumed = start
        position += 1
        found.append(balance(consumed, position, allocation=allocation, epoch=number))
        for index, step in enumerate(steps):
            consumed, position = consumed + step, position + 1
            if index == len(steps) - 1 or next(choice, True):
                found.append(balance(consumed, position, allocation=allocation, epoch=number))
    return found


@given(epochs, st.lists(st.booleans(), max_size=50))
def test_the_set_of_notices_does_not_depend_on_how_consumption_is_cut(
    story: list[tuple[int, int, list[int]]], kept: list[bool]
) -> None:
    fine, coarse = Story(), Story()
    fine.tell(*changes_of(story, []))
    coarse.tell(*changes_of(story, kept))
    assert lines_of(fine) == lines_of(coarse)
    assert fine.banner == coarse.banner
    assert len(fine.notices) == len(set(lines_of(fine)))
    assert len(coarse.notices) == len(set(lines_of(coarse)))


@given(epochs, st.data())
def test_repeated_and_late_changes_make_no_difference(
    story: list[tuple[int, int, list[int]]], data: st.DataObject
) -> None:
    changes = changes_of(story, [])
    once, again = Story(), Story()
    once.tell(*changes)
    for index, change in enumerate(changes):
        again.tell(change)
        again.tell(*data.draw(st.lists(st.sampled_from(changes[: index + 1]), max_size=3)))
    assert [replace(n, at=AT) for n in again.notices] == once.notices


@given(epochs)
def test_at_most_one_email_is_delivered_at_a_time_and_never_below_an_earlier_one(
    story: list[tuple[int, int, list[int]]],
) -> None:
    told = Story()
    highest: dict[int, int] = {}
    for change in changes_of(story, []):
        delivered = [threshold for threshold, outcome in emails(told.tell(change)) if outcome == "delivered"]
        assert len(delivered) <= 1
        for threshold in delivered:
            assert threshold > highest.get(change.epoch, 0)
            highest[change.epoch] = threshold


def lines_of(story: Story) -> list[tuple[int, Channel, int]]:
    return sorted((n.balance.epoch, n.channel, n.threshold) for n in story.notices)
