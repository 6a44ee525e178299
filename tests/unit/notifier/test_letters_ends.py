"""How letters end, and what each end means for who is owed one."""

import pytest

from notifier.letters import (
    Ending,
    Shown,
    end,
    is_due,
    owed_lines,
    retry,
)
from notifier.mail.limits import Cap
from notifier.mail.recheck import Action
from tests.unit.notifier.story import CREDITS, OTHER, OWNER, RUNS, Story


def test_an_acceptance_counts_in_the_epoch_of_its_bytes() -> None:
    """The reply comes after a top-up that went below the line, and after a new line was reached."""
    story = Story()
    story.reach(90)
    story.hand_over()
    story.begin_epoch(50)
    story.reach(80)
    story.end(Ending.ACCEPTED)
    assert story.level() == 50
    assert owed_lines(story.letters, story.contact()) == {CREDITS: 80}


def test_an_acceptance_never_lowers_what_is_known_by_now() -> None:
    story = Story()
    story.reach(90)
    story.send()
    story.reach(50)
    story.hand_over()
    story.end(Ending.ACCEPTED)
    assert story.level() == 90


def test_presumed_lines_count_as_told() -> None:
    story = Story()
    story.reach(50)
    story.hand_over()
    story.end(Ending.PRESUMED)
    assert story.level() == 50 and story.due == []


def test_a_refused_address_is_owed_and_gets_no_letter_until_it_is_added_again() -> None:
    story = Story(OWNER, OTHER)
    story.reach(50)
    story.hand_over()
    story.end(Ending.REFUSED)
    for line in (70, 80):
        story.reach(line)
        assert story.due == [OTHER] and owed_lines(story.letters, story.contact()) == {CREDITS: line}
    story.begin_epoch(80)
    assert OWNER not in story.due
    story.contacts(OTHER)
    story.contacts(OWNER, OTHER)
    assert OWNER in story.due


def test_a_refusal_that_comes_after_the_contact_left_is_not_kept() -> None:
    story = Story(OWNER, OTHER)
    story.reach(50)
    story.contacts(OTHER)
    story.end(Ending.REFUSED)
    story.contacts(OWNER, OTHER)
    assert OWNER in story.due


@pytest.mark.parametrize("change", ["line", "epoch", "retry", "other resource"])
def test_what_was_given_up_waits_for_the_next_line_the_next_epoch_or_a_person(change: str) -> None:
    story = Story()
    story.reach(50)
    story.end(Ending.GIVEN_UP)
    assert story.due == [] and owed_lines(story.letters, story.contact()) == {CREDITS: 50}
    story.reach(0)
    story.reach(50)
    assert story.due == []
    if change == "line":
        story.reach(70)
    elif change == "epoch":
        story.begin_epoch(50)
    elif change == "retry":
        story.letters = retry(story.letters, OWNER)
    else:
        story.reach(50, RUNS)
    assert story.due == [OWNER]


def test_what_is_given_up_after_a_new_epoch_began_is_owed_in_that_epoch() -> None:
    story = Story()
    story.reach(80)
    tried = {CREDITS: Shown.of(story.letters.reached[CREDITS])}
    story.begin_epoch(80)
    story.letters = end(story.letters, OWNER, Ending.GIVEN_UP, tried)
    assert story.due == [OWNER]


def test_a_person_can_have_a_refused_address_tried_again() -> None:
    story = Story()
    story.reach(50)
    story.end(Ending.REFUSED)
    story.letters = retry(story.letters, OWNER)
    assert story.due == [OWNER]


def test_a_capped_letter_stays_owed() -> None:
    story = Story()
    story.reach(50)
    assert story.choose(cap=Cap("contact", 60)) is Action.CAP
    story.end(Ending.CAPPED)
    assert is_due(story.letters, story.contact()) and story.level() == 0


# --- after a lost reply ----------------------------------------------------------------------------------------------


def in_doubt(line: int = 50) -> Story:
    story = Story()
    story.reach(line)
    story.hand_over()
    return story


def test_a_lost_reply_is_followed_by_the_same_bytes_up_to_a_limit() -> None:
    story = in_doubt()
    assert [story.choose(lost) for lost in (1, 2, 3)] == [Action.REPEAT, Action.REPEAT, Action.PRESUME]


@pytest.mark.parametrize("cap", [None, Cap("contact", 60)])
def test_without_a_lost_reply_every_try_is_rendered_anew(cap: Cap | None) -> None:
    assert in_doubt().choose(0, cap=cap) is (Action.RENDER if cap is None else Action.CAP)


def test_after_a_lost_reply_a_higher_line_gets_a_letter_of_its_own() -> None:
    story = in_doubt()
    story.reach(70)
    assert story.choose(1) is Action.PRESUME
    story.end(Ending.PRESUMED)
    assert story.level() == 50 and story.due == [OWNER]


def test_after_a_lost_reply_a_line_of_the_other_resource_gets_a_letter_of_its_own() -> None:
    story = in_doubt()
    story.reach(50, RUNS)
    assert story.choose(1) is Action.PRESUME
    story.end(Ending.PRESUMED)
    assert story.due == [OWNER]


def test_after_a_lost_reply_what_a_reversal_made_untrue_is_not_repeated() -> None:
    story = in_doubt(80)
    story.reach(70)
    assert story.choose(1) is Action.PRESUME


def test_after_a_lost_reply_a_contact_who_left_hears_nothing_more() -> None:
    story = in_doubt()
    story.contacts(OTHER)
    assert story.choose(1) is Action.PRESUME


def test_after_a_lost_reply_a_new_epoch_in_which_the_line_stands_gets_fresh_bytes() -> None:
    story = in_doubt(90)
    story.begin_epoch(90)
    assert story.choose(1) is Action.RENDER
    story.begin_epoch(0)
    assert story.choose(1) is Action.PRESUME
