"""The demo's own books, and that its checks can fail: a wrong figure anywhere is told."""

from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.local.demo.ledger import MICRO, Ledger, NoticeKey
from deploy.local.demo.report import balance_faults, compare, mail_faults, notice_faults

CREDITS = "model_credits"


@pytest.fixture
def ledger() -> Ledger:
    """One account at 95 % of 75 that was topped up by 100 and used 10 since."""
    made = Ledger()
    made.open("acct-1")
    made.use("acct-1", CREDITS, 71_250_000)
    made.grant("acct-1", CREDITS, 100 * MICRO)
    made.use("acct-1", CREDITS, 10 * MICRO)
    return made


def test_a_partly_used_grant_stays_in_the_allocation(ledger: Ledger) -> None:
    book = ledger.books["acct-1", CREDITS]
    assert (book.epoch, book.allocation, book.used) == (2, 175 * MICRO, 81_250_000)


def test_a_used_up_grant_drops_out() -> None:
    made = Ledger()
    made.open("acct-1")
    made.use("acct-1", CREDITS, 80 * MICRO)
    made.grant("acct-1", CREDITS, 100 * MICRO)
    book = made.books["acct-1", CREDITS]
    assert (book.allocation, book.used, book.remaining) == (100 * MICRO, 5 * MICRO, 95 * MICRO)


def test_the_notices_of_each_epoch(ledger: Ledger) -> None:
    emails = {(key.epoch, key.threshold) for key in ledger.notices() if key.channel == "email"}
    assert emails == {(1, 50), (1, 70), (1, 80), (1, 90)}
    banners = {(key.epoch, key.threshold) for key in ledger.notices() if key.channel == "banner"}
    assert banners == {(1, 20), (1, 50), (1, 70), (1, 80), (1, 90), (2, 20)}


def rows(ledger: Ledger) -> list[Any]:
    return [
        {
            "account_id": account,
            "resource": resource,
            "allocation": book.allocation / MICRO,
            "consumed": book.used / MICRO,
            "remaining": book.remaining / MICRO,
        }
        for (account, resource), book in ledger.books.items()
    ]


def test_right_balances_pass_and_one_micro_unit_less_is_told(ledger: Ledger) -> None:
    right = rows(ledger)
    assert balance_faults(right, ledger) == []
    wrong = [row | {"consumed": row["consumed"] - 0.000001} if row["resource"] == CREDITS else row for row in right]
    assert len(balance_faults(wrong, ledger)) == 1
    assert len(balance_faults(right[1:], ledger)) == 1


def test_a_missing_and_a_needless_notice_are_told(ledger: Ledger) -> None:
    right: list[Any] = [key._asdict() for key in ledger.notices()]
    assert notice_faults(right, ledger) == []
    assert notice_faults(right[1:], ledger)[0].startswith("notice missing")
    needless: Any = NoticeKey("acct-1", CREDITS, 2, "email", 90)._asdict()
    assert notice_faults([*right, needless], ledger)[0].startswith("notice without cause")


@pytest.mark.parametrize(
    ("arrived", "states", "faults"),
    [
        (["<a>"], {"<a>": "accepted"}, 0),
        (["<a>", "<a>"], {"<a>": "accepted"}, 1),
        ([], {"<a>": "accepted"}, 1),
        (["<b>"], {"<a>": "accepted"}, 2),
        ([], {"<a>": "given_up"}, 1),
        ([], {"<a>": "cancelled"}, 0),
    ],
)
def test_every_mail_once(arrived: list[str], states: dict[str, str], faults: int) -> None:
    sink: Any = SimpleNamespace(mails=[SimpleNamespace(message_id=id, message=EmailMessage()) for id in arrived])
    emails: Any = [{"message_id": id, "state": state} for id, state in states.items()]
    assert len(mail_faults(emails, sink)) == faults


def test_counts() -> None:
    assert compare("events", 3, 3) == []
    assert compare("events", 2, 3) == ["events: 2, must be 3"]
