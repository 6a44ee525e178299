"""Headers: complete, the same each time, and nothing in an account can turn them into something else."""

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from uuid import UUID

import pytest

from notifier.render import Renderer, Sender
from schemas.amounts import MICRO
from tests.unit.notifier.builders import AT, RENDERER, account, balance
from tests.unit.notifier.composing import EMAIL_ID, USED, compose, part

HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
ENCODED = [
    "=?utf-8?q?=0D=0ABcc:_x=40y=2Eexample?=", "=?utf-8?q?x=0D=0A=0D=0AGo_to_http=3A//evil=2Eexample?=",
    "=?UTF-8?B?DQpCY2M6IHhAeS5leGFtcGxl?=", "=?us-ascii?Q?www=2Eexample=2Ecom?= =?utf-8?q?=E2=80=AEabc?=",
    "=\u200b?utf-8?q?=0D=0AX:_y?=", "=?utf-8?q?x?=",
]  # fmt: skip


@pytest.mark.parametrize("name", ENCODED, ids=ascii)
def test_no_name_and_no_address_makes_a_header(name: str) -> None:
    """An encoded word was decoded as the subject was set: line ends in it began another header, or the body."""
    sender = replace(RENDERER._sender, name=name)
    for renderer, address in ((RENDERER, "owner@example.com"), (Renderer(sender), f"{name.split()[0]}@example.com")):
        _, data = renderer.render_letter([USED], account(display_name=name), AT).address(EMAIL_ID, address)
        head = data.split(b"\r\n\r\n")[0].decode("ascii")
        found = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
        assert [one for one in found if one not in ("MIME-Version", "Content-Type", "Reply-To")] == HEADERS
        assert "Subject: 70 % of model credits used: acc-1\r\n" in head
        message = email.message_from_bytes(data, policy=email.policy.default)
        assert not any("\n" in str(value) for value in message.values())


@pytest.mark.parametrize("name", ["x", "x y", "ü", "aü b", "\U0001f469\u200d\U0001f467"], ids=ascii)
def test_a_subject_of_any_length_begins_in_its_own_line(name: str) -> None:
    """Python breaks a header of ASCII behind its name when only the rest fits; a reader then sees a blank first."""
    full = (
        balance(78 * MICRO, 3, line=100),
        balance(7_100 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs"),
    )
    for times in range(1, 60):
        message = compose(RENDERER, *full, display_name=(name * times).strip())
        assert str(message["Subject"]).startswith("104 % of")


def test_headers_are_stable_and_complete() -> None:
    message = compose()
    assert message["Message-ID"] == f"<{EMAIL_ID}@example.com>"
    assert message["Date"] == "Thu, 05 Mar 2026 09:30:00 +0000"
    assert message["To"] == "owner@example.com"
    assert message["From"] == "Credit Meter <credits@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "70 % of model credits used: Example Account"


def test_the_same_notice_gives_the_same_bytes_and_lines_that_mail_servers_take() -> None:
    letters = [RENDERER.render_letter([USED], account(), AT).address(EMAIL_ID, "owner@example.com") for _ in range(2)]
    assert letters[0] == letters[1]
    lines = letters[0][1].split(b"\r\n")
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)
    assert all(byte < 128 for byte in letters[0][1])


@pytest.mark.parametrize("name", ["Team\r\nBcc: nobody", "Zürich Team ✓", "x" * 256, "{{ 7 * 7 }}"])
def test_a_name_cannot_add_a_header_or_run_a_template(name: str) -> None:
    message = compose(display_name=name)
    assert message["Bcc"] is None
    assert "49" not in str(message["Subject"])
    assert len(str(message["Subject"])) <= 200


def test_a_sender_name_is_quoted() -> None:
    renderer = Renderer(
        Sender(address="credits@example.com", name='Credits, "Inc" \\ Ünique', reply_to="help@example.com")
    )
    message = compose(renderer)
    assert [address.addr_spec for address in message["From"].addresses] == ["credits@example.com"]
    assert message["From"].addresses[0].display_name == 'Credits, "Inc" \\ Ünique'
    assert message["Reply-To"] == "help@example.com"


def test_a_link_to_get_no_more_letters_names_account_and_contact() -> None:
    url = "https://example.com/letters?account={account}&contact={contact}"
    renderer = Renderer(Sender(address="a@example.com", unsubscribe_url=url))
    letter = renderer.render_letter([USED], account(account_id="team@acc:1"), AT, contact_id=UUID(int=9))
    link = f"https://example.com/letters?account=team%40acc%3A1&contact={UUID(int=9)}"
    _, data = letter.address(EMAIL_ID, "owner@example.com")
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed["List-Unsubscribe"] == f"<{link}>"
    assert link in part(parsed, "plain") and link.replace("&", "&amp;") in part(parsed, "html")
    assert compose()["List-Unsubscribe"] is None


@pytest.mark.parametrize(("name", "product"), [
    ("Example Account", ""), ("Müller & Söhne", ""), ("会社", ""), ("Example Account", "Läufer"),
])  # fmt: skip
def test_a_header_with_a_link_is_one_that_mail_programs_read(name: str, product: str) -> None:
    """As it is sent: encoded words stand for nothing there (RFC 2369, RFC 2047), but Python's reader decodes them."""
    url = "https://billing.example.com/letters/unsubscribe?account={account}&contact={contact}"
    renderer = Renderer(Sender(address="a@example.com", name=product, unsubscribe_url=url))
    opened = account(account_id="team@acc:1", display_name=name)
    letter = renderer.render_letter([USED], opened, AT, contact_id=EMAIL_ID)
    _, data = letter.address(EMAIL_ID, "owner@example.com")
    link = f"https://billing.example.com/letters/unsubscribe?account=team%40acc%3A1&contact={EMAIL_ID}"
    head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"List-Unsubscribe: <{link}>".encode() in head
    assert all(len(word) <= 75 for word in re.findall(rb"=\?\S+\?=", data))
