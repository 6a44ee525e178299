"""A letter, as the program of its reader parses it."""

import email
import email.policy
from email.message import EmailMessage
from uuid import UUID

from notifier.decide import BalanceSnapshot
from notifier.render import Renderer
from schemas.amounts import MICRO
from tests.unit.notifier.builders import AT, RENDERER, account, balance

EMAIL_ID = UUID("6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10")
USED = balance(52_500_001, 3, line=70)
RUNS = balance(7_100 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs", line=70)


def compose(renderer: Renderer = RENDERER, *balances: BalanceSnapshot, **values: object) -> EmailMessage:
    letter = renderer.render_letter(balances or [USED], account(**values), AT)  # type: ignore[arg-type]
    _, data = letter.address(EMAIL_ID, "owner@example.com")
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())
