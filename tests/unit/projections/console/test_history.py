"""History: what happened and who was told, as sentences, newest first."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from meter.allowance import REASON
from projections.console.history import EVENT_WORDS, tell_epoch, tell_event, tell_history
from schemas.events import CODES

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def event(type_: str, resource: str | None = None, amount: str = "0", **more: Any) -> dict[str, Any]:
    found = {
        "at": NOON,
        "type": type_,
        "resource": resource,
        "amount": Decimal(amount),
        "reason": "",
        "reference": None,
        "source": "/billing",
    }
    return found | more


def notice(**changes: Any) -> dict[str, Any]:
    return {
        "resource": "model_credits", "epoch": 2, "channel": "email", "threshold": 70, "outcome": "delivered",
        "allocation": Decimal(75), "consumed": Decimal("52.756"), "at": NOON,
    } | changes  # fmt: skip


def letter(**changes: Any) -> dict[str, Any]:
    return {
        "contact_id": UUID(int=7), "state": "accepted", "attempts": 1, "at": NOON,
        "lines": json.dumps([{"resource": "model_credits", "line": 70}, {"resource": "tool_runs", "line": 50}]),
    } | changes  # fmt: skip


def test_a_grant_says_how_much_of_what_and_why() -> None:
    told = tell_event(event("credits.granted.v1", "model_credits", "500", reason="top_up", reference="INV-1042"))
    assert (told.title, told.detail) == ("500 model credits added", "top_up, INV-1042, by /billing")


def test_what_the_verbs_sent_is_of_support() -> None:
    told = tell_event(event("credits.granted.v1", "model_credits", "500", reason="top_up", source="/credit-meter/cli"))
    assert told.detail == "top_up, by support"


def test_who_sent_it_is_said_of_credits_alone_and_not_of_our_own_grants() -> None:
    own = event("credits.granted.v1", "model_credits", "75", reason=REASON)
    assert tell_event(own).detail == "free allowance"
    assert tell_event(event("account.closed.v1")).detail == ""
    assert tell_event(event("credits.granted.v1", "tool_runs", "1", source=None)).detail == ""


def test_a_new_count_says_where_it_began() -> None:
    row = {"resource": "model_credits", "epoch": 2, "allocation": Decimal(100), "consumed": Decimal(0), "at": NOON}
    told = tell_epoch(row)
    assert (told.kind, told.title, told.detail) == (
        "epoch", "Model credits: a new count began", "0 of 100 used; allocation 2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "resource", "title"),
    [
        ("credits.revoked.v1", "model_credits", "2.5 model credits taken back"),
        ("usage.reversed.v1", "tool_runs", "2.5 tool runs given back: usage was reversed"),
        ("account.closed.v1", None, "Account closed"),
    ],
)
def test_other_events_say_what_they_did(type_: str, resource: str | None, title: str) -> None:
    assert tell_event(event(type_, resource, "2.5")).title == title


@pytest.mark.parametrize(
    ("type_", "resource", "title"),
    [
        ("credits.granted.v1", "model_credits", "1 model credit added"),
        ("credits.revoked.v1", "tool_runs", "1 tool run taken back"),
        ("usage.reversed.v1", "tool_runs", "1 tool run given back: usage was reversed"),
    ],
)
def test_one_is_no_plural(type_: str, resource: str, title: str) -> None:
    assert tell_event(event(type_, resource, "1.000000")).title == title


def test_an_opening_says_which_plan() -> None:
    assert tell_event(event("account.opened.v1", reason="free")).detail == "on plan free"


def test_the_free_allowance_is_called_so() -> None:
    told = tell_event(event("credits.granted.v1", "tool_runs", "10000", reason="free_allowance", reference="x"))
    assert (told.title, told.detail) == ("10,000 tool runs added", "free allowance")


def test_every_type_that_has_words_is_one_of_the_contract() -> None:
    assert EVENT_WORDS.keys() <= CODES.keys()


def test_a_notice_says_what_was_used_and_leaves_it_to_the_letters_who_was_told() -> None:
    """It said `told` of a line whose only letter was refused."""
    [told] = tell_history([notice()]).entries
    assert told.title == "Model credits: 70 % reached (email)"
    assert told.detail == "52.75 of 75 used; allocation 2; letters were due to those who did not know of it"
    [shown] = tell_history([notice(channel="banner")]).entries
    assert shown.detail == "52.75 of 75 used; allocation 2; shown"


@pytest.mark.parametrize("channel", ["email", "banner"])
def test_a_line_above_which_an_allocation_began_may_be_told(channel: str) -> None:
    """It said that nobody was told. Credits that are taken back may begin one above a line that was told to nobody: a
    letter follows, and a banner."""
    [told] = tell_history([notice(outcome="seeded", channel=channel)]).entries
    assert told.detail == "52.75 of 75 used; allocation 2; the line was reached when the allocation began"


def test_a_letter_that_was_refused_at_once_is_not_said_to_have_been_tried_often() -> None:
    [told] = tell_history([], [letter(state="given_up")]).entries
    assert (told.title, "tries" in told.detail) == ("Letter was given up", False)
    [tried] = tell_history([], [letter(state="given_up", attempts=1_200)]).entries
    assert tried.detail.endswith("; 1,200 tries")


def test_a_letter_that_is_not_owed_to_one_contact_may_be_to_another() -> None:
    [told] = tell_history([], [letter(state="cancelled")]).entries
    assert told.title == "Letter was cancelled: nothing was owed to this contact any more"


def test_an_amount_that_was_added_is_that_of_the_allocation() -> None:
    """One was rounded and the other cut off: 12.35 added, 0 of 12.34 used."""
    grant = event("credits.granted.v1", "model_credits", "12.346", reason="top_up")
    epoch = {"resource": "model_credits", "epoch": 2, "allocation": Decimal("12.346"), "consumed": Decimal(0)}
    added, begun = tell_event(grant), tell_epoch(epoch | {"at": NOON})
    assert (added.title, begun.detail) == ("12.34 model credits added", "0 of 12.34 used; allocation 2")


def test_a_letter_names_no_address() -> None:
    [told] = tell_history([], [letter(attempts=3, state="presumed")]).entries
    assert told.title == "Letter was sent; the mail server's reply was lost"
    assert told.detail == "to contact 00000000: Model credits 70 %, Tool runs 50 %; 3 tries"


def test_the_newest_comes_first() -> None:
    later = notice(at=NOON + timedelta(hours=1), threshold=80)
    told = tell_history([later, notice()], events=[event("account.opened.v1")]).entries
    assert [entry.at for entry in told] == sorted((entry.at for entry in told), reverse=True)
    assert "80 %" in told[0].title


def test_words_of_others_change_no_direction() -> None:
    told = tell_event(event("credits.granted.v1", "tool_runs", "1", reason="\u202egnp.exe", reference="x" * 10_000))
    assert "\u202e" not in told.detail
    assert len(told.detail) < 300


def test_where_a_list_is_cut_all_others_end_and_it_is_said() -> None:
    """500 letters reached back a week and grants a year: as if nobody had been written to before."""
    letters = [letter(at=NOON - timedelta(hours=n)) for n in range(5)]
    events = [event("account.opened.v1", at=NOON - timedelta(hours=n)) for n in (0, 2, 30)]
    whole = tell_history([], letters, events=events, most=5)
    assert whole.since is None and len(whole.entries) == 8
    cut = tell_history([], letters, events=events, most=3)
    assert cut.since == NOON - timedelta(hours=2)
    assert [(entry.kind, entry.at) for entry in cut.entries if entry.kind == "event"] == [
        ("event", NOON), ("event", NOON - timedelta(hours=2)),
    ]  # fmt: skip
    assert min(entry.at for entry in cut.entries) == cut.since
