"""What one batch writes: notices and steps for letters, in order and once, wherever batches are cut."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.decide import BalanceSnapshot, Channel
from notifier.letters import Reached
from notifier.model import AccountSnapshot, ContactsChanged, Known, LineMoved, NotifyPlan, Unreadable
from notifier.plan import Change
from schemas.amounts import MICRO
from schemas.outputs import BannerCleared, BannerRaised
from tests.support.examples import examples
from tests.unit.notifier.builders import ACCOUNT, account, balance, percent, record
from tests.unit.notifier.fakes import learn
from tests.unit.notifier.planning import events, plan


def test_a_new_account_without_usage_is_only_stored() -> None:
    made = plan([account(1), percent(0, 2)])
    assert made.accounts == (account(1),) and made.balances == (percent(0, 2),)
    assert not made.notices and not made.banners and not made.events


def test_lines_and_contacts_are_steps_for_letters_in_order() -> None:
    owner = account(1)
    made = plan(
        [owner, percent(0, 2), percent(10, 3), percent(55, 4), percent(60, 5), percent(40, 6), percent(75, 7, epoch=2)]
    )
    assert made.letters == (
        ContactsChanged(owner),
        *(
            LineMoved(ACCOUNT, "model_credits", reached, 0, position)
            for reached, position in (
                (Reached(1, 0), 2), (Reached(1, 50), 4), (Reached(1, 0), 6), (Reached(2, 70), 7),
            )
        ),
    )  # fmt: skip
    assert [balance.line for balance in made.balances] == [70]
    assert all(b"@example.com" not in event.value for event in made.events)


def test_without_a_contact_the_notice_says_so() -> None:
    nobody: list[list[Change]] = [[account(1, contacts=())], []]
    for before in nobody:
        made = plan([*before, percent(0, 2), percent(50, 3)])
        outcomes = {row.notice.outcome.value for row in made.notices if row.notice.channel is Channel.EMAIL}
        assert outcomes == {"no_contact"}


def test_an_account_that_is_not_newer_is_dropped() -> None:
    made = plan([account(5), account(4, contacts=("old@example.com",))])
    assert made.accounts == (account(5),)


def test_the_same_batch_planned_twice_is_the_same_to_the_byte() -> None:
    changes: list[Change] = [account(1), percent(0, 2), percent(85, 3), percent(100, 4)]
    assert plan(changes) == plan(changes)


def test_unreadable_records_are_kept_and_the_others_go_on() -> None:
    bad = Unreadable(record(b"{"), "not_json", "…")
    made = plan([account(1), bad, percent(0, 2), percent(50, 3)])
    assert made.unreadable == (bad,) and made.notices


steps = st.lists(
    st.one_of(
        st.integers(0, 130).map(lambda whole: ("use", whole)),
        st.sampled_from(["free", "team"]).map(lambda name: ("plan", name)),
        st.integers(0, 2).map(lambda count: ("contacts", count)),
        st.just(("grant", 0)),
    ),
    max_size=25,
)


def changes_of(story: list[tuple[str, int | str]]) -> list[Change]:
    found: list[Change] = [account(1)]
    epoch, now = 1, account(1)
    for position, (what, value) in enumerate(story, start=2):
        if what == "use":
            found.append(percent(int(value), position, epoch=epoch))
        elif what == "grant":
            epoch += 1
            found.append(balance(0, position, allocation=50 * MICRO, epoch=epoch))
        else:
            contacts = tuple(f"c{number}@example.com" for number in range(int(value))) if what == "contacts" else None
            now = replace(now, position=position, plan=str(value) if what == "plan" else now.plan)
            now = now if contacts is None else replace(now, contacts=contacts)
            found.append(now)
    return found


def follow(parts: Sequence[NotifyPlan]) -> dict[tuple[str, str], tuple[int, str]]:
    """What a receiver shows that drops repeats by their ids and what is not newer by its position."""
    shown, places, ids = dict[tuple[str, str], tuple[int, str]](), dict[tuple[str, str], int](), set[str]()
    for event in (event for part in parts for event in events(part)):
        assert event.envelope.id not in ids
        ids.add(event.envelope.id)
        data = event.data
        assert isinstance(data, BannerCleared)
        key = (data.account_id, data.resource.value)
        assert data.position > places.get(key, 0)
        places[key] = data.position
        shown.pop(key, None)
        if isinstance(data, BannerRaised):
            shown[key] = (data.threshold, data.text)
    return shown


@settings(max_examples=examples(60))
@given(steps, st.lists(st.integers(1, 6), max_size=10))
def test_what_is_written_does_not_depend_on_where_batches_are_cut(
    story: list[tuple[str, int | str]], sizes: list[int]
) -> None:
    changes = changes_of(story)
    whole = plan(changes)
    known, parts, rest = Known(), list[NotifyPlan](), changes
    for size in [*sizes, len(changes)]:
        batch, rest = rest[:size], rest[size:]
        parts.append(plan(batch, known))
        known = learn(known, parts[-1])
    assert [row for part in parts for row in part.notices] == list(whole.notices)
    assert [step for part in parts for step in part.letters] == list(whole.letters)
    # Where batches are cut decides how many banner events there are, and not what a receiver sees in the end.
    assert follow(parts) == follow([whole])
    of_whole = learn(Known(), whole)
    assert known.banners.keys() == of_whole.banners.keys()
    assert all(banner.shows_same(of_whole.banners[key]) for key, banner in known.banners.items())
    assert follow(parts) == {key: (banner.threshold, banner.text) for key, banner in known.banners.items()}
    assert replace(known, banners={}) == replace(of_whole, banners={})
    assert isinstance(whole.balances, tuple) and all(isinstance(item, BalanceSnapshot) for item in whole.balances)
    assert all(isinstance(item, AccountSnapshot) for item in whole.accounts)
