"""What mail servers answer is published and logged without the addresses in it."""

from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from notifier.addresses import HIDDEN, hide_addresses
from notifier.events import email_ended
from notifier.mail.standing import note_trouble
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.model import EmailRow
from schemas.build import decode_event
from schemas.outputs import EmailEnded
from tests.unit.notifier.builders import ACCOUNT, AT

ANN = "ann.person@example.com"
ROW = EmailRow(UUID(int=1), UUID(int=2), UUID(int=3), ACCOUNT, 0, ANN, AT)
ANSWERS = (
    f"550 5.1.1 <{ANN}>: Recipient address rejected: User unknown",
    f"550 5.1.1 RCPT TO:<{ANN.upper()}> no such user",
    "550 5.1.1 unknown user: ann.person",
    "554 5.7.1 <Ann.Person@relay.example.com>: Relay access denied",
    f"given up after 30 tries; the last one: 452 {ANN} over quota, ask postmaster@example.com",
)


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_end_of_a_letter_is_published_without_addresses(answer: str) -> None:
    data = decode_event(email_ended(ROW, "given_up", {}, answer, AT).value).data
    assert isinstance(data, EmailEnded) and data.reason is not None
    assert "ann.person" not in data.reason.lower() and "@" not in data.reason
    assert HIDDEN in data.reason and data.reason.partition(" ")[0] == answer.partition(" ")[0]


@pytest.mark.parametrize("answer", ANSWERS)
def test_trouble_is_logged_without_addresses(answer: str) -> None:
    result = Result(Phase.RCPT, 554, answer)
    with structlog.testing.capture_logs() as logs:
        note_trouble(Judgement(Verdict.TROUBLE, result, answer, fault=True), ANN, 1.0)
    assert "ann.person" not in str(logs).lower() and HIDDEN in str(logs)


def test_what_names_nobody_stays_as_it_is() -> None:
    for text in ("", "451 4.7.1 Greylisted, try again in 5 minutes", "the connection was lost: read timed out"):
        assert hide_addresses(text, ANN) == text


@given(st.text(alphabet="ab@.<> :", max_size=40))
def test_no_address_is_left_whatever_stands_around_it(text: str) -> None:
    assert ANN not in hide_addresses(f"{text} <{ANN}> {text}", ANN).lower()
