"""Letters over random histories, with outages of mail and of the notifier: never untrue when sent, nobody who is owed
one stays untold once mail works, and each has something new to say.

That these properties notice a rule that is broken is tested, too: `BROKEN` breaks one at a time.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from notifier import letters as rules
from notifier import owed
from notifier.letters import Contact, Ending, Letters, Told
from notifier.mail import recheck
from notifier.mail.recheck import Action, Step
from projections.fold import Kind
from tests.support.examples import examples
from tests.unit.notifier.letters_world import MOST_LOST, PEOPLE, RESOURCES, World

MAILS = ("works", "works", "works", "away", "loses replies", "refuses", "given up", "capped")
MOVES = (*[Kind.USAGE] * 5, Kind.GRANT, Kind.REVERSAL, Kind.REVOCATION)
SPELLINGS = (*PEOPLE, *PEOPLE, *(person.upper() for person in PEOPLE))
moves = st.tuples(
    st.just("change"), st.sampled_from(RESOURCES), st.sampled_from(MOVES), st.sampled_from((1, 5, 10, 15, 40, 75))
)
people = st.tuples(st.just("people"), st.lists(st.sampled_from(SPELLINGS), unique_by=str.lower, max_size=3))
openings = st.tuples(st.just("open"), st.sampled_from((True, True, False)))
mails = st.tuples(st.just("mail"), st.sampled_from(MAILS))
outages = st.tuples(st.just("down"), st.sampled_from((False, False, True)))
retries = st.tuples(st.just("retry"), st.sampled_from(PEOPLE))
deliveries = st.just(("deliver",))
grants = st.tuples(st.just("change"), st.sampled_from(RESOURCES), st.just(Kind.GRANT), st.sampled_from((1, 75)))
changes = st.one_of(moves, grants, people, openings)
interrupted = st.tuples(st.sampled_from(("before the dot", "after the dot")), changes)
# Not `one_of`, which takes each kind as often as any other: much happens only after a letter has been sent.
FREQUENT = [*[moves] * 8, *[deliveries] * 6, people, people, openings, mails, mails, outages, retries]
histories = st.lists(
    st.sampled_from([*FREQUENT, interrupted, interrupted]).flatmap(lambda kind: kind), min_size=15, max_size=40
)
History = list[tuple[Any, ...]]


def play(world: World, what: str, *values: Any) -> None:
    world.now += 1
    match what:
        case "change":
            world.change(*values)
        case "people":
            world.list_people(*values)
        case "open":
            world.list_people(is_open=values[0])
        case "mail":
            world.mail = values[0]
        case "down":
            world.is_down = values[0]
            world.read()
        case "retry":
            world.ask_for_retry(values[0])
        case "before the dot":
            world.deliver(before_dot=lambda: play(world, *values[0]))
        case "after the dot":
            world.deliver(after_dot=lambda: play(world, *values[0]))
        case _:
            world.deliver()


def play_all(history: History) -> World:
    """The history, then mail that works until nothing waits any more."""
    world = World()
    for step in history:
        play(world, *step)
        check_levels(world)
    play(world, "mail", "works")
    play(world, "down", False)
    for _ in range(MOST_LOST + 1):
        world.deliver()
    check_levels(world)
    assert not world.rows, "a letter that never ends"
    assert not any(world.is_wanted(person) for person in PEOPLE), "owed and never told"
    return world


def check_levels(world: World) -> None:
    """The levels that are kept are what the whole history gives, apart from what is not read yet or in doubt."""
    if world.unread:
        return
    for address, contact in world.letters.contacts.items():
        if (person := address.lower()) not in world.rows:
            for resource in RESOURCES:
                assert contact.of(resource).level == world.known(person, resource), "another level"


@settings(max_examples=examples(600))
@given(histories)
def test_letters_are_true_new_and_nobody_stays_untold(history: History) -> None:
    for what in play_all(history).seen:
        event(what)


# --- broken rules -----------------------------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch
end, join, give_up = rules.end, rules.join, rules.give_up


def epoch_keeps_what_was_told(patch: Patch) -> None:
    patch.setattr(Told, "begin_epoch", lambda told, _line: replace(told, given_up=0))


def epoch_counts_as_told(patch: Patch) -> None:
    """A goodwill grant drops the letter that waits."""
    patch.setattr(Told, "begin_epoch", lambda _told, line: Told(line))


def epoch_forgets_what_was_told(patch: Patch) -> None:
    patch.setattr(Told, "begin_epoch", lambda _told, _line: Told())


def acceptance_counts_in_a_later_epoch(patch: Patch) -> None:
    """What the bytes show counts in full, whatever epochs began since."""

    def end_in_full(letters: Letters, address: str, ending: Ending, *tried: Any) -> Letters:
        contact = letters.contacts[address]
        lines = {name: replace(shown, counts=shown.line) for name, shown in contact.lines.items()}
        return end(letters.put(address, replace(contact, lines=lines)), address, ending, *tried)

    patch.setattr(owed, "end", end_in_full)


def newcomer_knows_all(patch: Patch) -> None:
    def join_at_the_top(contact_id: Any, _staying: Any) -> Contact:
        return Contact(contact_id, told={resource: Told(90) for resource in RESOURCES})

    patch.setattr(rules, "join", join_at_the_top)


def newcomer_knows_nothing(patch: Patch) -> None:
    patch.setattr(rules, "join", lambda contact_id, _staying: join(contact_id, ()))


def who_leaves_forgets(patch: Patch) -> None:
    patch.setattr(rules, "leave", lambda contact: replace(contact, is_contact=False, refused=False, told={}))


def spellings_are_people(patch: Patch) -> None:
    patch.setattr(owed, "spell_as_before", lambda _letters, addresses: list(dict.fromkeys(addresses)))


def cancelled_counts_as_told(patch: Patch) -> None:
    def end_as_told(letters: Letters, address: str, ending: Ending, *tried: Any) -> Letters:
        ended = end(letters, address, ending, *tried)
        contact = ended.contacts[address]
        if ending is Ending.CANCELLED:
            contact = contact.put(RESOURCES[0], contact.of(RESOURCES[0]).tell(50))
        return ended.put(address, contact)

    patch.setattr(owed, "end", end_as_told)


def given_up_for_ever(patch: Patch) -> None:
    """Not only until the next line or epoch."""
    patch.setattr(rules, "give_up", lambda letters, contact, name, _shown: contact.put(name, Told(90, 90)))


def nothing_follows_the_end(patch: Patch) -> None:
    """What is owed still when a letter has ended waits for the next change."""
    patch.setattr(owed, "queue_following", lambda _email, letters, _number, _at: owed.Outcome(letters))


def closed_is_told(patch: Patch) -> None:
    owed_lines = rules.owed_lines
    for module in (rules, recheck, owed):
        patch.setattr(module, "owed_lines", lambda letters, who: owed_lines(replace(letters, is_open=True), who))


def asked_once_only(patch: Patch) -> None:
    """Not again before the final dot."""
    patch.setattr(recheck, "still_says", lambda *_: True)


def old_bytes_are_repeated(patch: Patch) -> None:
    patch.setattr(recheck, "choose_repeat", lambda *_: Step(Action.REPEAT))
    patch.setattr(recheck, "still_says", lambda *_: True)


def refusals_are_not_compared(patch: Patch) -> None:
    patch.setattr(recheck, "refuses_otherwise", lambda *_: False)


BROKEN: tuple[Callable[[Patch], None], ...] = (
    epoch_keeps_what_was_told,
    epoch_counts_as_told,
    epoch_forgets_what_was_told,
    acceptance_counts_in_a_later_epoch,
    newcomer_knows_all,
    newcomer_knows_nothing,
    who_leaves_forgets,
    spellings_are_people,
    cancelled_counts_as_told,
    given_up_for_ever,
    nothing_follows_the_end,
    closed_is_told,
    asked_once_only,
    old_bytes_are_repeated,
    refusals_are_not_compared,
)


@pytest.mark.parametrize("break_rule", BROKEN, ids=lambda rule: rule.__name__)
def test_a_broken_rule_is_noticed(monkeypatch: Patch, break_rule: Callable[[Patch], None]) -> None:
    """The first history that shows it is enough; the same ones each time."""
    break_rule(monkeypatch)

    @settings(max_examples=1000, phases=(Phase.generate,), derandomize=True, database=None, deadline=None)
    @given(histories)
    def probe(history: History) -> None:
        play_all(history)

    with pytest.raises(AssertionError):
        probe()
