"""What one batch writes: notices, emails per contact, banners and their events, in order and once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.decide import BalanceSnapshot, Channel, Thresholds
from notifier.letters import Reached
from notifier.model import AccountSnapshot, BannerKind, ContactsChanged, Known, LineMoved, NotifyPlan, Unreadable
from notifier.plan import Change, plan_notices
from schemas.amounts import MICRO
from schemas.build import Decoded, decode_event
from schemas.outputs import BannerCleared, BannerRaised
from schemas.topics import BALANCES
from tests.support.examples import examples
from tests.unit.notifier.builders import ACCOUNT, AT, RENDERER, account, balance, percent, record
from tests.unit.notifier.fakes import learn


def plan(
    changes: Sequence[Change | Unreadable], known: Known | None = None, lines: Thresholds | None = None
) -> NotifyPlan:
    place: dict[str, Any] = {"topic": BALANCES, "shard": 0, "start": 0, "end": len(changes)}
    return plan_notices(changes, known or Known(), lines or Thresholds(), RENDERER, at=AT, **place)


def plan_each(changes: Sequence[Change], lines: Thresholds | None = None) -> list[NotifyPlan]:
    """Each change in a batch of its own."""
    known, made = Known(), list[NotifyPlan]()
    for change in changes:
        made.append(plan([change], known, lines))
        known = learn(known, made[-1])
    return made


def events(made: NotifyPlan) -> list[Decoded]:
    return [decode_event(event.value) for event in made.events]


def types(made: NotifyPlan) -> list[str]:
    return [event.envelope.type for event in events(made)]


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


def test_a_closed_account_sees_no_banner_until_it_is_reopened() -> None:
    changes: list[Change] = [
        account(1), percent(0, 2), percent(55, 3), account(4, is_open=False), percent(60, 5), account(6),
    ]  # fmt: skip
    shown = [kind for made in plan_each(changes) for kind in types(made)]
    assert shown == ["banner.raised.v1", "banner.cleared.v1", "banner.raised.v1"]


def test_without_a_contact_the_notice_says_so() -> None:
    nobody: list[list[Change]] = [[account(1, contacts=())], []]
    for before in nobody:
        made = plan([*before, percent(0, 2), percent(50, 3)])
        outcomes = {row.notice.outcome.value for row in made.notices if row.notice.channel is Channel.EMAIL}
        assert outcomes == {"no_contact"}


def test_an_account_that_is_not_newer_is_dropped() -> None:
    made = plan([account(5), account(4, contacts=("old@example.com",))])
    assert made.accounts == (account(5),)


def test_the_banner_rises_changes_and_is_cleared() -> None:
    plans = plan_each(
        [account(1), percent(0, 2), percent(20, 3), percent(55, 4), percent(100, 5), percent(3, 6, epoch=2)]
    )
    assert [kind for made in plans for kind in types(made)] == [
        "banner.raised.v1", "banner.changed.v1", "banner.changed.v1", "banner.cleared.v1",
    ]  # fmt: skip
    assert plans[-1].cleared == ((ACCOUNT, "model_credits"),) and not plans[-1].banners
    shown = [event.data for made in plans for event in events(made) if isinstance(event.data, BannerRaised)]
    assert [(data.threshold, data.removable, data.position) for data in shown] == [
        (20, True, 3), (50, True, 4), (100, False, 5),
    ]  # fmt: skip


def test_a_batch_publishes_the_last_state_of_a_banner_and_not_each_step() -> None:
    """After an outage nobody is to see a banner rise through lines that were passed hours ago."""
    steps = [percent(used, position) for position, used in enumerate((0, 20, 55, 81, 100), start=2)]
    made = plan([account(1), *steps])
    assert types(made) == ["banner.raised.v1"]
    [shown] = [event.data for event in events(made) if isinstance(event.data, BannerRaised)]
    assert (shown.threshold, shown.position) == (100, 6) and made.banners[0].position == 6
    known = learn(Known(), made)
    assert types(plan([percent(60, 7), percent(85, 8)], known)) == ["banner.changed.v1"]
    assert types(plan([percent(60, 7), percent(3, 8, epoch=2)], known)) == ["banner.cleared.v1"]


def test_a_banner_that_a_batch_leaves_as_it_was_is_not_told_again() -> None:
    known = learn(Known(), plan([account(1), percent(0, 2), percent(55, 3)]))
    for back in ([percent(80, 4), percent(55, 5)], [account(4, is_open=False), account(5)]):
        made = plan(back, known)
        assert not made.events and not made.banners and not made.cleared
    for nothing in (
        [percent(0, 2), percent(20, 3), percent(3, 4)],
        [percent(0, 2), percent(20, 3), account(4, is_open=False)],
    ):
        made = plan([account(1), *nothing])
        assert not made.events and not made.banners and not made.cleared


def test_events_of_several_banners_stand_in_the_order_of_their_last_changes() -> None:
    runs = [percent(used, position, resource="tool_runs") for used, position in ((0, 3), (20, 5))]
    made = plan([account(1), percent(0, 2), runs[0], percent(20, 4), runs[1], percent(50, 6)])
    assert [event.data.model_dump()["position"] for event in events(made)] == [5, 6]


@pytest.mark.parametrize("name", ["free", "team"])
@pytest.mark.parametrize(
    ("free_only", "kind"),
    [(True, BannerKind.FREE_EXPIRED), (False, BannerKind.PAID_EXPIRED), (None, BannerKind.PAID_EXPIRED)],
)
def test_exhausted_is_told_by_what_was_granted_and_not_by_the_plans_name(
    name: str, free_only: bool | None, kind: BannerKind
) -> None:
    made = plan([account(1, plan=name), percent(0, 2), percent(100, 3, free_only=free_only)])
    assert [(banner.kind, banner.removable) for banner in made.banners] == [(kind, False)]
    known = learn(Known(), made)
    assert types(plan([account(4, plan="gold")], known)) == types(plan([account(4, contacts=())], known)) == []


def test_a_change_of_name_changes_no_banner() -> None:
    """A banner is published, and the name is personal data: it says the account's id."""
    known = learn(Known(), plan([account(1), percent(0, 2), percent(100, 3)]))
    made = plan([account(4, display_name="Other Example")], known)
    assert types(made) == [] and made.banners == ()


def test_without_a_line_at_100_the_banner_still_says_that_calls_are_refused() -> None:
    """Where an operator sets other lines, the highest of them is shown, with the text of what is true."""
    lines = Thresholds.of((50, 90), ())
    changes: list[Change] = [
        account(1), percent(0, 2), percent(92, 3), percent(100, 4, free_only=False), percent(97, 5),
    ]  # fmt: skip
    made = plan_each(changes, lines)
    shown = [event.data for part in made for event in events(part) if isinstance(event.data, BannerRaised)]
    assert [(data.threshold, data.kind, data.removable) for data in shown] == [
        (90, "low", True), (90, "paid_expired", False), (90, "low", True),
    ]  # fmt: skip
    assert ["refused now" in data.text for data in shown] == [False, True, False]


def test_an_allocation_of_nothing_names_the_overdraft() -> None:
    changes: list[Change] = [account(1), balance(0, 2), balance(5 * MICRO, 3, allocation=0, epoch=2, free_only=False)]
    [banner] = plan(changes).banners
    assert "The model credits of acc-1 are overdrawn: " in banner.text and "are refused now" in banner.text


def test_a_new_epoch_shows_the_same_line_anew() -> None:
    known = learn(Known(), plan([account(1), percent(0, 2), percent(25, 3)]))
    made = plan([percent(30, 4, epoch=2)], known)
    assert types(made) == ["banner.changed.v1"]
    assert [row.notice.outcome.value for row in made.notices] == ["seeded"]


def hours_ago(hours: int) -> dict[str, Any]:
    return {"as_of": AT - timedelta(hours=hours)}


@pytest.mark.parametrize("cut", [True, False])
def test_a_banner_is_raised_when_its_line_was_reached_however_late_that_is_read(cut: bool) -> None:
    changes: list[Change] = [
        account(1), percent(0, 2, **hours_ago(9)), percent(92, 3, **hours_ago(8)), percent(100, 4, **hours_ago(7)),
        percent(130, 5, **hours_ago(6)),
    ]  # fmt: skip
    made = plan_each(changes) if cut else [plan(changes)]
    [shown] = [part.banners for part in made if part.banners][-1]
    assert (shown.threshold, shown.raised_at) == (100, AT - timedelta(hours=7))


@pytest.mark.parametrize("cut", [True, False])
def test_another_text_for_the_same_line_raises_no_banner_anew(cut: bool) -> None:
    changes: list[Change] = [
        account(1), balance(0, 2, **hours_ago(9)), balance(0, 3, allocation=0, epoch=2, **hours_ago(8)),
        balance(5 * MICRO, 4, allocation=0, epoch=2, **hours_ago(7)),
    ]  # fmt: skip
    made = plan_each(changes) if cut else [plan(changes)]
    [shown] = made[-1].banners
    assert "overdrawn" in shown.text and shown.raised_at == AT - timedelta(hours=8)
    [again] = plan([balance(6 * MICRO, 5, allocation=0, epoch=3, **hours_ago(6))], learn(Known(), made[-1])).banners
    assert again.raised_at == AT - timedelta(hours=6)


def test_a_line_and_whether_calls_are_refused_raise_a_banner_anew() -> None:
    changes: list[Change] = [
        account(1), percent(0, 2), percent(92, 3, **hours_ago(8)), percent(100, 4, **hours_ago(7)),
        percent(95, 5, **hours_ago(6)), percent(55, 6, **hours_ago(5)),
    ]  # fmt: skip
    raised = [b.raised_at for made in plan_each(changes, Thresholds.of((50, 90), ())) for b in made.banners]
    assert [AT - at for at in raised] == [timedelta(hours=hours) for hours in (8, 7, 6, 5)]


def test_a_banner_of_a_balance_that_does_not_say_when_is_raised_when_it_is_read() -> None:
    [shown] = plan([account(1), percent(0, 2), percent(92, 3, as_of=None)]).banners
    assert shown.raised_at == AT


def test_resources_are_told_apart() -> None:
    made = plan([
        account(1), percent(0, 2), percent(0, 3, resource="tool_runs"),
        percent(50, 4), percent(20, 5, resource="tool_runs"),
    ])  # fmt: skip
    assert {(banner.resource, banner.threshold) for banner in made.banners} == {
        ("model_credits", 50),
        ("tool_runs", 20),
    }


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
