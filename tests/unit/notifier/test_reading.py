"""A letter is shown as it was sent: from its bytes, not rendered again."""

import pytest

from deploy.local.dev import describe_mail
from deploy.local.mail import Mail
from notifier.cli import CROSSINGS
from notifier.decide import Outcome
from notifier.reading import read_letter, why_no_text
from tests.unit.notifier.builders import AT, RENDERER, account, balance
from tests.unit.notifier.composing import EMAIL_ID


@pytest.mark.parametrize("name", ["Example Company", "Zürich Team ✓", "x" * 64])
@pytest.mark.parametrize("edition", [1, 3])
def test_subject_and_text_are_those_that_were_rendered(name: str, edition: int) -> None:
    letter = RENDERER.render_letter([balance(52_500_001, 3, line=70)], account(display_name=name), AT)
    _, data = letter.address(EMAIL_ID, "owner@example.com", edition)
    assert read_letter(data) == (letter.subject, letter.text)
    shown = describe_mail(Mail("credits@example.com", ("owner@example.com",), data))
    assert shown == (
        f"letter to owner@example.com: {letter.subject}\n  its text: notifier emails show {EMAIL_ID} --text"
    )


def test_a_letter_without_bytes_has_its_reason() -> None:
    assert "rendered when it is sent" in why_no_text("queued")
    assert "METERING_MAIL_KEEP_DAYS" in why_no_text("accepted") and "never handed over" in why_no_text("refused")


def test_on_a_terminal_what_came_of_a_line_says_nothing_of_an_address() -> None:
    """`delivered` stood beside the address that was refused."""
    assert set(CROSSINGS) == {outcome.value for outcome in Outcome}
    assert not any(word in said for said in CROSSINGS.values() for word in ("deliver", "told", "sent"))
