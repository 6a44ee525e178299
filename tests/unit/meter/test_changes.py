"""Whether a change of an account has an effect, and what verbs say of it."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from meter.accounts_cli import describe, describe_known
from meter.changes import Change, describe_account, describe_change, doubt_plan, find_refusal
from meter.cli import app
from meter.effects import AccountNow, KeptAccount

NOW = AccountNow("free", "Ann", datetime(2026, 3, 1, tzinfo=UTC), ("a@example.com", "b@xn--bcher-kva.example"), "open")
CLOSED = NOW._replace(state="closed")
BARE = NOW._replace(display_name=None, contacts=())

CHANGES = [
    (Change(plan="Team"), NOW._replace(plan="team"), "acct-1 has plan team"),
    (Change(display_name="Bob"), NOW._replace(display_name="Bob"), "acct-1 is named Bob"),
    (Change(time_zone="Asia/Tokyo"), NOW._replace(time_zone="Asia/Tokyo"), "acct-1 has time zone Asia/Tokyo"),
    (
        Change(display_name="Bob", time_zone="UTC"),
        NOW._replace(display_name="Bob", time_zone="UTC"),
        "acct-1 is named Bob and has time zone UTC",
    ),
    (Change(contacts=[]), BARE._replace(display_name="Ann"), "acct-1 has no contacts: none"),
    (
        Change(contacts=["c@example.com"]),
        NOW._replace(contacts=("c@example.com",)),
        "acct-1 has 1 contact: c@example.com",
    ),
    (Change(state="closed"), CLOSED, "closed acct-1"),
]


@pytest.mark.parametrize(("change", "after", "words"), CHANGES)
def test_a_change_has_an_effect_once(change: Change, after: AccountNow, words: str) -> None:
    assert not change.is_in(NOW) and change.is_in(after)
    assert find_refusal("acct-1", change, NOW) is None
    refusal = find_refusal("acct-1", change, after)
    assert refusal == f"acct-1 is as it was asked to be: {describe_account(after)}. Nothing is sent."
    assert describe_change("acct-1", change, after) == f"{words}; now {describe_account(after)}"


def test_reopening_is_for_what_is_closed() -> None:
    reopen = Change(state="open")
    assert find_refusal("acct-1", reopen, CLOSED) is None
    assert find_refusal("acct-1", reopen, NOW) is not None
    assert describe_change("acct-1", reopen, NOW).startswith("reopened acct-1; now open, ")


def test_order_and_spelling_of_contacts_and_the_case_of_a_plan_are_no_change() -> None:
    assert Change(contacts=["B@b\u00fccher.example", "a@EXAMPLE.com"]).is_in(NOW)
    assert Change(plan="FREE").is_in(NOW)


def test_an_account_in_words() -> None:
    assert describe_account(NOW) == "open, plan free, name Ann, 2 contacts"
    assert describe_account(BARE._replace(time_zone="UTC")) == "open, plan free, time zone UTC, no contacts"
    assert describe_account(CLOSED._replace(contacts=("a@example.com",))).endswith("1 contact")


@pytest.mark.parametrize("state", ["open", "closed"])
def test_what_nobody_opened_is_neither_closed_nor_reopened(state: str) -> None:
    refusal = find_refusal("acct-9", Change(state=state), None)
    assert refusal is not None and "nobody opened acct-9" in refusal and "nothing is sent" in refusal


def test_what_nobody_opened_keeps_other_changes() -> None:
    change = Change(plan="team")
    assert find_refusal("acct-9", change, None) is None
    assert "kept: acct-9 has plan team. Nobody opened it yet" in describe_change("acct-9", change, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["contacts", "acct-1", "nobody@localhost"], "invalid_contacts"),
        (["contacts", "acct-1", "ok@example.com", "bad@localhost"], "contact 2 is not one plain email address"),
        (["contacts", "acct-1", "a@example.com", "A@example.com"], "contact 2 is an address that stands before it"),
        (["contacts", "acct-1", *(f"a{n}@example.com" for n in range(21))], "contact 21"),
        (["contacts", "acct-1"], "--none"),
        (["contacts", "acct-1", "a@example.com", "--none"], "--none"),
        (["rename", "acct-1"], "--time-zone"),
        (["rename", "acct-1", "  "], "display_name"),
        (["rename", "acct-1", "a\x1b[31mb"], "display_name"),
        (["rename", "acct-1", "--time-zone", "Europe/Nowhere"], "no such time zone"),
        (["rename", "acct-1", "--time-zone", "no zone"], "no such time zone"),
        (["plan", "acct-1", "gold plated"], "plan"),
        (["plan", "acct 1", "gold"], "invalid_subject"),
        (["close", "acct-1", "--event-id", "\x1b"], "invalid_id"),
    ],
)
def test_what_the_meter_would_refuse_is_refused_before_anything_is_asked(arguments: list[str], complaint: str) -> None:
    done = CliRunner().invoke(app, ["accounts", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr and "Traceback" not in done.stderr and "\x1b" not in done.stderr


def test_closing_is_asked_for_even_without_waiting() -> None:
    done = CliRunner().invoke(app, ["accounts", "close", "acct-1", "--no-wait"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "nothing is sent" in done.stderr and "--yes" in done.stderr


def test_an_account_is_shown_with_what_it_has_or_what_is_kept_of_it() -> None:
    assert describe("acct-1", describe_known(NOW), [], [])["contacts"] == list(NOW.contacts)
    kept = KeptAccount("team", None, None, ())
    assert describe("acct-9", describe_known(kept), [], []) == {
        "account": "acct-9", "opened": "no", "kept_plan": "team", "kept_contacts": ["none"], "balances": ["none"],
        "remarks": ["none"],
    }  # fmt: skip
    assert describe("acct-9", describe_known(None), [], [])["opened"] == "no"


def test_a_plan_that_no_account_has_is_doubted() -> None:
    assert doubt_plan("Taem", False, ["free", "team"]) == "no account has plan taem; accounts have free, team"
    assert doubt_plan("Taem", False, []) == "no account has plan taem; accounts have none yet"
    assert doubt_plan("Team", True, ["free", "team"]) is None
