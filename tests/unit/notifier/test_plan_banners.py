"""Which banners one batch leaves, what they say and since when, and which events tell of them."""

from datetime import timedelta
from typing import Any

import pytest

from notifier.decide import Thresholds
from notifier.model import BannerKind, Known
from notifier.plan import Change
from schemas.amounts import MICRO
from schemas.outputs import BannerRaised
from tests.unit.notifier.builders import ACCOUNT, AT, account, balance, percent
from tests.unit.notifier.fakes import learn
from tests.unit.notifier.planning import events, plan, plan_each, types


def test_a_closed_account_sees_no_banner_until_it_is_reopened() -> None:
    changes: list[Change] = [
        account(1), percent(0, 2), percent(55, 3), account(4, is_open=False), percent(60, 5), account(6),
    ]  # fmt: skip
    shown = [kind for made in plan_each(changes) for kind in types(made)]
    assert shown == ["banner.raised.v1", "banner.cleared.v1", "banner.raised.v1"]


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
