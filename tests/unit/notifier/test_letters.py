"""Who is owed a letter: the histories of the design, one by one."""

from dataclasses import replace
from uuid import UUID, uuid5

import pytest

from notifier.letters import (
    Contact,
    Ending,
    Letters,
    Reached,
    Shown,
    change_contacts,
    end,
    find_due,
    is_due,
    move_line,
    owed_lines,
    retry,
)
from notifier.mail.recheck import Action, Doubt, choose_step

CREDITS, RUNS = "model_credits", "tool_runs"
OWNER, OTHER = "owner@example.com", "other@example.com"
ROW = UUID(int=7)


def listed(*addresses: str) -> list[tuple[str, UUID]]:
    return [(address, uuid5(ROW, address)) for address in addresses]


class Story:
    """An account whose mail works unless it is told otherwise."""

    def __init__(self, *contacts: str) -> None:
        self.letters = Letters()
        self.epoch = dict.fromkeys((CREDITS, RUNS), 1)
        self.contacts(*(contacts or (OWNER,)))
        for resource in (CREDITS, RUNS):
            self.reach(0, resource)

    def contacts(self, *addresses: str, is_open: bool = True) -> None:
        self.letters = change_contacts(self.letters, listed(*addresses), is_open=is_open)

    def reach(self, line: int, resource: str = CREDITS) -> None:
        self.letters = move_line(self.letters, resource, Reached(self.epoch[resource], line))

    def begin_epoch(self, line: int, resource: str = CREDITS) -> None:
        self.epoch[resource] += 1
        self.reach(line, resource)

    def hand_over(self, address: str = OWNER) -> dict[str, int]:
        """The lines that the letter shows."""
        lines = {name: Shown.of(reached) for name, reached in self.letters.reached.items() if reached.line}
        contact = self.letters.contacts[address]
        self.letters = self.letters.put(address, replace(contact, unsent=ROW, lines=lines))
        return {name: shown.line for name, shown in lines.items()}

    def end(self, ending: Ending, address: str = OWNER) -> None:
        lines = {name: Shown.of(reached) for name, reached in self.letters.reached.items() if reached.line}
        self.letters = end(self.letters, address, ending, lines)

    def send(self, address: str = OWNER) -> dict[str, int]:
        assert address in find_due(self.letters)
        said = self.hand_over(address)
        self.end(Ending.ACCEPTED, address)
        return said

    def choose(self, lost: int = 0, address: str = OWNER, *, is_capped: bool = False) -> Action:
        return choose_step(self.letters, address, Doubt(lost, 3), is_capped=is_capped).action

    @property
    def due(self) -> list[str]:
        return find_due(self.letters)

    def contact(self, address: str = OWNER) -> Contact:
        return self.letters.contacts[address]

    def level(self, address: str = OWNER, resource: str = CREDITS) -> int:
        return self.contact(address).of(resource).level


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


# --- how letters end -------------------------------------------------------------------------------------------------


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
    assert story.choose(is_capped=True) is Action.CAP
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


@pytest.mark.parametrize("is_capped", [False, True])
def test_without_a_lost_reply_every_try_is_rendered_anew(is_capped: bool) -> None:
    assert in_doubt().choose(0, is_capped=is_capped) is (Action.CAP if is_capped else Action.RENDER)


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
