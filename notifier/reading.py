"""The subject and the text of a letter, read from the bytes that were handed over. Pure."""

import email
import email.policy
from email.message import EmailMessage
from typing import NamedTuple


class Read(NamedTuple):
    subject: str
    text: str


def read_letter(message: bytes) -> Read:
    """Of the bytes of a letter of ours: its subject, and its part for those who do not see HTML."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    body = parsed.get_body(("plain",)) if isinstance(parsed, EmailMessage) else None
    text = str(body.get_content()) if body is not None else ""
    return Read(str(parsed["Subject"] or ""), text.replace("\r\n", "\n"))


def why_no_text(state: str) -> str:
    """Why a letter has no bytes, and what to do, by its state."""
    if state == "queued":
        return "it has no text yet: it is rendered when it is sent, from the newest balance"
    return (
        "its text is not kept: it was never handed over, or ended longer ago than METERING_MAIL_KEEP_DAYS, or its "
        "account was forgotten. `notifier preview DIR` writes each text in each state"
    )
