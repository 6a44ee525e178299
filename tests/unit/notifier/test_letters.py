"""Who is owed a letter: the histories of the design, one by one."""

from notifier.letters import (
    Ending,
    Letters,
    Reached,
    change_contacts,
    find_due,
    move_line,
)
from notifier.mail.recheck import Action
from tests.unit.notifier.story import CREDITS, OTHER, OWNER, RUNS, Story, listed


def test_a_line_is_told_once_and_the_next_one_again() -> None:
    story = Story()
    assert story.due == []
    story.reach(50)
    assert story.send() == {CREDITS: 50} and story.due == []
    story.reach(80)
    assert story.send() == {CREDITS: 80} and story.due == []


def test_one_letter_tells_the_highest_line_of_both_resources() -> None:
    story = Story()
    for line in (50, 70, 80, 90):
        story.reach(line)
    for line in (50, 70):
        story.reach(line, RUNS)
    assert story.send() == {CREDITS: 90, RUNS: 70}
    assert story.due == []


def test_a_reversal_that_is_used_up_again_tells_nobody_twice() -> None:
    story = Story()
    story.reach(80)
    story.send()
    story.reach(50)
    assert story.due == [] and story.level() == 80
    story.reach(80)
    assert story.due == []


def test_a_letter_that_waits_while_a_reversal_takes_the_line_back_is_cancelled_and_owed_again() -> None:
    story = Story()
    story.reach(50)
    story.reach(0)
    assert story.choose() is Action.CANCEL
    story.end(Ending.CANCELLED)
    assert story.due == []
    story.reach(50)
    assert story.send() == {CREDITS: 50}


def test_a_top_up_that_stays_above_the_line_repeats_nothing() -> None:
    story = Story()
    story.reach(90)
    story.send()
    story.begin_epoch(90)
    assert story.due == []
    story.begin_epoch(70)
    assert story.due == [] and story.level() == 70
    story.reach(80)
    assert story.due == [OWNER]


def test_a_top_up_below_a_line_arms_it_again() -> None:
    story = Story()
    story.reach(90)
    story.send()
    story.begin_epoch(0)
    story.reach(50)
    assert story.send() == {CREDITS: 50}


def test_what_was_never_told_stays_owed_through_a_top_up_that_leaves_it_true() -> None:
    """71.25 of 75 while the mail is down, then a grant of 1: 93.75 % used."""
    story = Story()
    story.reach(90)
    story.begin_epoch(90)
    assert story.send() == {CREDITS: 90}


def test_what_a_top_up_made_untrue_is_cancelled() -> None:
    story = Story()
    story.reach(90)
    story.begin_epoch(0)
    assert story.due == [] and story.choose() is Action.CANCEL


def test_lines_reached_before_the_opening_are_told() -> None:
    letters = move_line(Letters(), CREDITS, Reached(1, 80))
    letters = change_contacts(letters, listed(OWNER), is_open=True)
    assert find_due(letters) == [OWNER]
    early = change_contacts(Letters(), listed(OWNER), is_open=True)
    assert find_due(move_line(early, CREDITS, Reached(1, 80))) == [OWNER]


# --- contacts who come and go ----------------------------------------------------------------------------------------


def test_the_first_contact_of_an_account_is_told() -> None:
    letters = move_line(Letters(), CREDITS, Reached(1, 90))
    assert find_due(letters) == []
    assert find_due(change_contacts(letters, listed(OWNER), is_open=True)) == [OWNER]


def test_who_joins_others_knows_what_they_know() -> None:
    story = Story()
    story.reach(80)
    story.send()
    story.contacts(OWNER, OTHER)
    assert story.due == []
    story.reach(90)
    assert story.due == [OWNER, OTHER]


def test_who_joins_others_that_were_not_told_yet_is_owed_as_they_are() -> None:
    story = Story()
    story.reach(80)
    story.contacts(OWNER, OTHER)
    assert story.due == [OWNER, OTHER]


def test_the_successor_of_all_contacts_is_told_and_the_waiting_letter_is_cancelled() -> None:
    story = Story()
    story.reach(90)
    story.contacts(OTHER)
    assert story.due == [OTHER] and story.choose() is Action.CANCEL


def test_the_successor_of_contacts_who_were_told_is_told_as_well() -> None:
    story = Story()
    story.reach(90)
    story.send()
    story.contacts(OTHER)
    assert story.due == [OTHER]


def test_who_leaves_and_returns_keeps_their_level_lowered_by_the_epochs_between() -> None:
    story = Story(OWNER, OTHER)
    story.reach(80)
    story.send()
    story.contacts(OTHER)
    story.contacts(OWNER, OTHER)
    assert story.level() == 80
    story.contacts(OTHER)
    story.begin_epoch(50)
    story.begin_epoch(70)
    story.contacts(OWNER, OTHER)
    assert story.level() == 50 and OWNER in story.due


def test_nobody_of_a_closed_account_is_owed_anything_until_it_is_reopened() -> None:
    story = Story()
    story.reach(90)
    story.contacts(OWNER, is_open=False)
    assert story.due == [] and story.choose() is Action.CANCEL
    story.contacts(OWNER)
    assert story.due == [OWNER]
