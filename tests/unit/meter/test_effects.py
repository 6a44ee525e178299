"""What verbs say of an account and its balances."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from meter.closings import ALREADY_CLOSED, NOT_CLOSED, NOT_OPENED
from meter.effects import (
    AccountNow,
    BalanceNow,
    KeptAmount,
    UsageNow,
    choose_usage,
    describe_amount,
    describe_balance,
    describe_differences,
    describe_kept,
    describe_now,
    describe_opening,
    describe_remark,
    describe_usage,
    find_differences,
)
from meter.runtime.errors import RefusalError

CREDITS, RUNS = "model_credits", "tool_runs"
ACCOUNT = AccountNow("free", "Example", datetime(2026, 3, 1, tzinfo=UTC), ("a@example.com", "b@example.com"), "open")


def balance(allocation: str, consumed: str, resource: str = CREDITS, *, state: str = "open") -> BalanceNow:
    whole, used = Decimal(allocation), Decimal(consumed)
    return BalanceNow(resource, whole, used, whole - used, used < whole and state == "open", state)


@pytest.mark.parametrize(
    ("amount", "resource", "text"),
    [
        ("1.000000", CREDITS, "1 model credit"),
        ("1", RUNS, "1 tool run"),
        ("0.250000", CREDITS, "0.25 model credits"),
        ("10000.000000", RUNS, "10,000 tool runs"),
        ("100", CREDITS, "100 model credits"),
        ("0", RUNS, "0 tool runs"),
    ],
)
def test_amounts_are_exact_and_have_their_unit(amount: str, resource: str, text: str) -> None:
    assert describe_amount(Decimal(amount), resource) == text


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (balance("3.000000", "1.000000"), "2 of 3 model credits left"),
        (balance("0", "2"), "-2 of 0 model credits left, refused: overdrawn by 2"),
        (balance("1", "1", RUNS), "0 of 1 tool run left, refused"),
        (balance("75", "74.999"), "less than 0.01 of 75 model credits left"),
        (balance("10000", "0.000001"), "9,999.99 of 10,000 model credits left"),
        (balance("175", "34.655556"), "140.35 of 175 model credits left"),
        (balance("75", "75.000001"), "0 of 75 model credits left, refused: overdrawn by less than 0.01"),
        (balance("5", "0", state="closed"), "5 of 5 model credits left, refused: the account is closed"),
        (
            balance("0", "0", state="not_opened"),
            "nobody opened the account yet: what was granted and used is kept until then",
        ),
    ],
)
def test_a_balance_says_what_is_left_and_why_it_is_refused(now: BalanceNow, text: str) -> None:
    assert describe_balance(now) == text


@pytest.mark.parametrize(
    ("before", "word"),
    [
        (balance("175", "80"), "refused"),
        (balance("0", "80"), "still refused"),
        (balance("100", "5", state="closed"), "still refused"),
        (balance("5", "5", RUNS), "refused"),  # says nothing about the other resource
    ],
)
def test_refused_is_still_so_only_where_it_was_so_before(before: BalanceNow, word: str) -> None:
    """75 and 100 granted, 80 used, 100 revoked: the revocation is what refuses."""
    assert describe_now(balance("0", "5"), [before]) == f"now -5 of 0 model credits left, {word}: overdrawn by 5"
    assert describe_now(balance("80", "80"), [before]).endswith(f"model credits left, {word}")
    closed = describe_now(balance("80", "8", state="closed"), [before])
    assert closed.endswith(f"model credits left, {word}: the account is closed")


def test_an_opening_says_who_is_warned_and_what_there_is() -> None:
    lines = describe_opening("acct-1", ACCOUNT, [balance("75", "0"), balance("10000", "0", RUNS)])
    assert lines == [
        "opened acct-1 on plan free, 2 contacts",
        "now 75 of 75 model credits left",
        "now 10,000 of 10,000 tool runs left",
    ]
    assert "nobody gets its emails" in describe_opening("acct-1", ACCOUNT._replace(contacts=()), [])[0]


def test_what_was_not_asked_for_does_not_differ() -> None:
    same = find_differences(ACCOUNT, plan="FREE", contacts=["B@example.com", "a@example.com"], display_name="Example")
    assert same == find_differences(ACCOUNT, plan="free", contacts=[], display_name=None) == {}
    assert "What it has is what was asked for" in describe_differences("acct-1", ACCOUNT, {})
    assert "acct-1 is closed, and was opened at" in describe_differences("acct-1", ACCOUNT._replace(state="closed"), {})


def test_each_difference_is_a_line() -> None:
    found = find_differences(ACCOUNT, plan="team", contacts=["c@example.com"], display_name="Other")
    assert describe_differences("acct-1", ACCOUNT, found).splitlines() == [
        "acct-1 has been open since 2026-03-01 00:00:00 UTC; nothing is sent or changed. What differs:",
        "  plan: it has free, not team",
        "  contacts: it has a@example.com, b@example.com, not c@example.com",
        "  display name: it has Example, not Other",
    ]


def test_a_remark_says_what_was_left_out_or_that_nothing_came_of_it() -> None:
    assert describe_remark("contacts[1]", "is not one plain email address") == (
        "contact 2 is not one plain email address: left out"
    )
    for reason in (ALREADY_CLOSED, NOT_CLOSED, NOT_OPENED):
        assert describe_remark("type", reason) == f"an event {reason}: without effect"


USED = UsageNow(
    "/example/gateway", CREDITS, "model_inference", "swift-1", datetime(2026, 3, 1, tzinfo=UTC), Decimal(5), Decimal(2)
)


def test_usage_is_named_by_what_people_know_of_it() -> None:
    assert choose_usage("acct-7", "request-1", [USED]) is USED
    assert describe_usage("acct-7", USED) == "acct-7's swift-1 (model inference, 2026-03-01)"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "reverses_unknown: no usage of acct-7 is stored under id 'request-1\\x1b'"),
        ([USED, USED._replace(source="/example/\x1b[2J")], "2 sources used that id: '/example/\\x1b[2J'"),
        ([USED._replace(left=Decimal(0))], "reverses_too_much: all of its 5 model credits were reversed before"),
    ],
)  # fmt: skip
def test_why_there_is_no_usage_to_reverse(found: list[UsageNow], words: str) -> None:
    with pytest.raises(RefusalError) as refusal:
        choose_usage("acct-7", "request-1\x1b", found)
    assert words in str(refusal.value)


def test_what_is_kept_until_the_opening_is_said() -> None:
    runs = KeptAmount("tool_runs", Decimal(500), Decimal(3), 1, 2)
    credits = KeptAmount("model_credits", Decimal(0), Decimal("0.250000"), 0, 1)
    assert describe_kept([credits, runs], 3) == {
        "kept_grants": ["500 tool runs in 1 event"],
        "kept_usage": ["0.25 model credits in 1 event", "3 tool runs in 2 events"],
        "kept_events": 7,
    }
    assert describe_kept([], 0) == {} and describe_kept([], 1) == {"kept_events": 1}
