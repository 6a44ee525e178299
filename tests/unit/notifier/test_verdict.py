"""The table of what follows from the end of a conversation."""

import pytest

from notifier.mail import verdict
from notifier.mail.verdict import Judgement, Phase, Result, Tries, Verdict, pause_for


def judge(
    result: Result, attempts: int, max_attempts: int, *, lost: int = 0, most_lost: int = 99, relay_works: bool = True
) -> Judgement:
    return verdict.judge(result, Tries(attempts, max_attempts, lost, most_lost), relay_works=relay_works)


BEFORE = [Phase.CONNECT, Phase.TLS, Phase.EHLO, Phase.AUTH, Phase.MAIL]
AFTER = [Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT]


@pytest.mark.parametrize("phase", BEFORE)
@pytest.mark.parametrize(("code", "fault"), [(421, False), (451, False), (None, False), (550, True), (535, True)])
def test_before_the_recipient_is_named_nothing_is_held_against_the_email(
    phase: Phase, code: int | None, fault: bool
) -> None:
    found = judge(Result(phase, code, "…"), attempts=99, max_attempts=3)
    assert (found.verdict, found.fault, found.ambiguous) == (Verdict.TROUBLE, fault, False)


@pytest.mark.parametrize("phase", AFTER)
@pytest.mark.parametrize("code", [421, 450, 451, 452, None, 999, 354])
def test_what_may_pass_is_tried_again_until_the_last_try(phase: Phase, code: int | None) -> None:
    result = Result(phase, code, "…")
    assert judge(result, attempts=2, max_attempts=3).verdict is Verdict.RETRY
    last = judge(result, attempts=3, max_attempts=3)
    assert last.verdict is Verdict.GIVEN_UP and "given up after 3 tries" in last.reason


@pytest.mark.parametrize("phase", AFTER)
@pytest.mark.parametrize("code", [501, 550, 552, 554])
def test_a_permanent_refusal_gives_the_email_up_at_once(phase: Phase, code: int) -> None:
    assert judge(Result(phase, code, "…"), attempts=1, max_attempts=30).verdict is Verdict.GIVEN_UP


@pytest.mark.parametrize("code", [530, 534, 535, 538])
def test_a_reply_about_our_password_is_never_held_against_the_email(code: int) -> None:
    for phase in [*BEFORE, *AFTER]:
        found = judge(Result(phase, code, "…"), attempts=99, max_attempts=3)
        assert (found.verdict, found.fault) == (Verdict.TROUBLE, True)


def test_a_missing_setup_is_a_fault() -> None:
    found = judge(Result(Phase.TLS, None, "no STARTTLS", setup=True), attempts=1, max_attempts=3)
    assert (found.verdict, found.fault) == (Verdict.TROUBLE, True)


@pytest.mark.parametrize(("phase", "code", "ambiguous"), [
    (Phase.DOT, None, True), (Phase.DOT, 451, False), (Phase.DOT, 554, False), (Phase.BODY, None, False),
    (Phase.RCPT, None, False),
])  # fmt: skip
def test_only_a_dot_without_a_reply_is_in_doubt(phase: Phase, code: int | None, ambiguous: bool) -> None:
    for attempts in (1, 3):
        assert judge(Result(phase, code, "…"), attempts, max_attempts=3).ambiguous == ambiguous


@pytest.mark.parametrize("code", [250, 251, 200])
def test_success_at_the_dot_is_acceptance(code: int) -> None:
    assert judge(Result(Phase.DOT, code, "ok"), attempts=99, max_attempts=3).verdict is Verdict.ACCEPTED


def test_pauses_grow_up_to_a_limit_and_are_spread_by_half() -> None:
    assert [pause_for(n, 30, 3600, 0.0) for n in (1, 2, 3, 7, 8, 9, 10_000)] == [30, 60, 120, 1920, 3600, 3600, 3600]
    assert pause_for(1, 30, 3600, 0.5) == 22.5


@pytest.mark.parametrize("detail", [
    "5.1.1 no such user", "5.1.10 null MX", "5.1.2 no such host", "5.1.3 not an address", "5.1.6 moved",
])  # fmt: skip
def test_a_bad_address_is_refused_for_good(detail: str) -> None:
    for relay_works in (True, False):
        assert judge(Result(Phase.RCPT, 550, detail), 1, 30, relay_works=relay_works).verdict is Verdict.REFUSED
    assert judge(Result(Phase.DOT, 550, detail), 1, 30).verdict is Verdict.GIVEN_UP


@pytest.mark.parametrize("detail", [
    "no such user", "5.2.1 mailbox disabled", "4.1.1 odd", "5.4.1 access denied", "5.1.5 valid", "5.17.1 odd",
    "5.5.0 Requested action not taken: mailbox unavailable", "5.1.0 Address rejected", "5.5.3 too many recipients",
])  # fmt: skip
def test_other_refusals_give_the_letter_up_and_say_nothing_of_the_address(detail: str) -> None:
    assert judge(Result(Phase.RCPT, 550, detail), 1, 30).verdict is Verdict.GIVEN_UP


@pytest.mark.parametrize("phase", AFTER)
def test_a_relay_that_refuses_everybody_is_our_own_fault(phase: Phase) -> None:
    result = Result(phase, 554, "5.7.1 relay access denied")
    found = judge(result, attempts=99, max_attempts=3, relay_works=False)
    assert (found.verdict, found.fault) == (Verdict.TROUBLE, True)
    assert judge(result, attempts=1, max_attempts=3).verdict is Verdict.RETRY
    assert judge(result, attempts=3, max_attempts=3).verdict is Verdict.GIVEN_UP


@pytest.mark.parametrize(("code", "detail"), [
    (550, "5.1.8 <credits@example.com>: Sender address rejected: Domain not found"),
    (553, "5.1.7 <credits@example.com>: Sender address rejected: not what a sender looks like"),
    (550, "5.1.0 <credits@example.com>: Sender address rejected: User unknown in local recipient table"),
    (550, "5.7.27 sender address has null MX"), (504, "5.5.2 <mailer>: Helo command rejected: need a full name"),
    (554, "5.5.1 no valid session"), (503, "5.5.1 EHLO first"), (550, "5.3.2 not accepting mail"),
    (503, "EHLO first"), (502, "not implemented"), (521, "takes no mail"),
])  # fmt: skip
def test_what_a_server_has_against_the_sender_is_held_against_no_recipient(code: int, detail: str) -> None:
    """Servers say it when they hear of a recipient: Postfix as it is set up from the start (smtpd_delay_reject)."""
    result = Result(Phase.RCPT, code, detail)
    found = judge(result, attempts=99, max_attempts=3, relay_works=False)
    assert (found.verdict, found.fault) == (Verdict.TROUBLE, True)
    assert judge(result, attempts=1, max_attempts=3).verdict is Verdict.RETRY
    assert judge(result, attempts=3, max_attempts=3).verdict is Verdict.GIVEN_UP


def test_lost_replies_are_put_up_with_so_often() -> None:
    lost = Result(Phase.DOT, None, "lost")
    found = [judge(lost, number + 1, 30, lost=number, most_lost=3) for number in range(3)]
    assert [one.verdict for one in found] == [Verdict.RETRY, Verdict.RETRY, Verdict.PRESUMED]
    assert all(one.ambiguous for one in found)
