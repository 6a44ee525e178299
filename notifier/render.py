"""Texts: banners and emails, from Jinja templates. Pure once built; the same input gives the same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)

from meter.runtime.errors import SettingsError, explain
from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot, BannerKind
from notifier.moments import show_moment
from notifier.names import clean_line, shorten, show_name, undecoded
from notifier.samples import SAMPLE_ACCOUNT, SAMPLES
from notifier.sender import Sender as Sender
from schemas.fields import ENCODED_WORD
from schemas.figures import UNITS, show_amount, show_balance, unit_of
from schemas.resources import Resource

# What is refused when nothing is left: in a sentence, and in a subject.
CALLS: Final = {
    Resource.MODEL_CREDITS.value: ("model calls, guardrails and custom scripts", "model calls"),
    Resource.TOOL_RUNS.value: ("tool calls", "tool calls"),
}
# Limits of the event that carries the text, and of a header that every mail program shows whole.
MAX_BANNER_CHARS: Final = 2000
MAX_SUBJECT_CHARS: Final = 200
NO_RUNWAYS: Final[Mapping[str, datetime]] = MappingProxyType({})
NOBODY: Final = "undisclosed-recipients:;"


class UrlHeader(UnstructuredHeader, BaseHeader):
    """On one line, whatever its length: Python would put a long URL into encoded words, which nobody reads there."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


HEADERS: Final = HeaderRegistry()
HEADERS.map_to_type("list-unsubscribe", UrlHeader)
BROKEN: Final = SMTP.clone(header_factory=HEADERS)
UNBROKEN: Final = BROKEN.clone(max_line_length=998)  # of a header; the most that RFC 5322 allows


@dataclass(frozen=True, slots=True)
class Letter:
    """The text of a letter; `address` makes it an email to one contact."""

    subject: str
    text: str
    html: str
    sender: Sender
    at: datetime
    unsubscribe_url: str | None = None

    def address(self, email_id: UUID, recipient: str, edition: int = 1) -> tuple[str, bytes]:
        """The Message-ID and the bytes. Everything in them follows from the input.

        `edition` above 1: an earlier one with other bytes may have arrived, so this one has an id of its own.
        """
        name = str(email_id) if edition == 1 else f"{email_id}.{edition}"
        message_id = f"<{name}@{self.sender.domain}>"
        message = EmailMessage(policy=BROKEN)
        message["From"] = f"{quote_name(self.sender.name)} <{self.sender.address}>"
        # An address that a header would decode is none that is taken any more; one from before is not shown.
        message["To"] = NOBODY if ENCODED_WORD in recipient else recipient
        message["Subject"] = undecoded(self.subject)
        message["Date"] = format_datetime(self.at)
        message["Message-ID"] = message_id
        # RFC 3834: this header keeps out-of-office answers away.
        message["Auto-Submitted"] = "auto-generated"
        if self.sender.reply_to:
            message["Reply-To"] = self.sender.reply_to
        if self.unsubscribe_url:
            message["List-Unsubscribe"] = f"<{self.unsubscribe_url}>"
        message.set_content(self.text, cte="quoted-printable")
        message.add_alternative(self.html, subtype="html", cte="quoted-printable")
        message.set_boundary(f"=_{email_id.hex}")
        # Python breaks a long subject of ASCII behind the header's name: some readers then show a blank first.
        # What is encoded is broken otherwise, and its words may not be longer.
        plain = all(str(value).isascii() for value in message.values())
        return message_id, message.as_bytes(policy=UNBROKEN if plain else BROKEN)


class Renderer:
    """`directory`, where given, holds templates that take the place of the package's ones of the same names."""

    def __init__(self, sender: Sender, directory: Path | None = None) -> None:
        own = PackageLoader("notifier")
        self._sender = sender
        self._environment = Environment(
            loader=own if directory is None else ChoiceLoader([FileSystemLoader(directory), own]),
            undefined=StrictUndefined,
            autoescape=select_autoescape(enabled_extensions=("html.j2",)),
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # else every rendering looks at the files' times
        )
        self._environment.filters["amount"] = show_amount
        self._environment.globals["unit"] = unit_of

    def check(self, at: datetime) -> None:
        """Render everything once, at start: a template that cannot be used is found before it is needed."""
        try:
            for sample in SAMPLES:
                letter = self.render_letter(sample.balances, SAMPLE_ACCOUNT, at, runways=sample.runways)
                letter.address(UUID(int=0), "someone@example.com")
                for kind in BannerKind:
                    self.render_banner(kind, sample.balances[0], sample.balances[0].line, SAMPLE_ACCOUNT)
        except Exception as error:  # a template may raise anything
            raise SettingsError(f"a template cannot be rendered: {explain(error)}") from error

    def render_banner(
        self, kind: BannerKind, balance: BalanceSnapshot, threshold: int, account: AccountSnapshot | None
    ) -> str:
        # Banners are published, so they say the account's id: the name is personal data.
        unnamed = None if account is None else replace(account, display_name=None)
        values = self._values(balance, threshold, unnamed) | {"is_free": kind is BannerKind.FREE_EXPIRED}
        text = self._render(f"banner_{kind.value}.txt.j2", values | {"b": values})
        return fold_line(text, MAX_BANNER_CHARS)

    def render_letter(
        self,
        balances: Sequence[BalanceSnapshot],
        account: AccountSnapshot,
        at: datetime,
        *,
        contact_id: UUID | None = None,
        runways: Mapping[str, datetime] = NO_RUNWAYS,
    ) -> Letter:
        """One letter for all balances of an account; the one that is used up most comes first and gives the subject."""
        ordered = sorted(balances, key=lambda balance: (balance.line == 0, -balance.percent, balance.resource))
        each = [self._values(balance, balance.line, account, runways.get(balance.resource)) for balance in ordered]
        unsubscribe_url = self._sender.unsubscribe_link(account.account_id, contact_id)
        values = each[0] | {"b": each[0], "balances": each, "unsubscribe_url": unsubscribe_url}
        subject = fold_line(self._render("email_subject.txt.j2", values), MAX_SUBJECT_CHARS)
        values |= {
            "subject": subject,
            "headline": fold_line(self._render("headline.txt.j2", values), MAX_SUBJECT_CHARS),
        }
        return Letter(
            subject=subject,
            text=self._render("email.txt.j2", values).strip() + "\n",
            html=self._render("email.html.j2", values),
            sender=self._sender,
            at=at,
            unsubscribe_url=unsubscribe_url,
        )

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(values)
        except TemplateError as error:
            # A missing template is an OSError, too, which would pass for a fault of the network and be tried for ever.
            raise SettingsError(f"template {name} cannot be rendered: {explain(error)}") from error

    def _values(
        self,
        balance: BalanceSnapshot,
        threshold: int,
        account: AccountSnapshot | None,
        empty_at: datetime | None = None,
    ) -> dict[str, Any]:
        """The names that templates may use; all are always there."""
        time_zone = account.time_zone if account is not None else None
        figures = show_balance(balance.consumed, balance.allocation)
        calls, short_calls = CALLS[balance.resource]
        return {
            "account_id": balance.account_id,
            "account": show_name(account.display_name if account is not None else None, balance.account_id),
            "plan": account.plan if account is not None else None,
            "resource": balance.resource,
            "resource_name": UNITS[balance.resource][1],
            "calls": calls,
            "short_calls": short_calls,
            "threshold": threshold,
            "percent": balance.percent,
            "allocation": balance.allocation,
            "consumed": balance.consumed,
            "remaining": max(0, balance.remaining),
            "used": figures.used,
            "left": figures.left,
            "over": figures.over,
            "is_exhausted": balance.is_exhausted,
            "is_overdrawn": balance.allocation <= 0 and balance.remaining < 0,
            "is_empty": balance.allocation <= 0 and balance.remaining >= 0,
            "is_free": bool(balance.free_only),
            "as_of": show_moment(balance.as_of, time_zone),
            # At the pace of the last 24 hours. What is used up already is said otherwise.
            "empty_at": None if balance.is_exhausted else show_moment(empty_at, time_zone, weekday=True),
            "sender": self._sender,
            "ask": self._sender.whom_to_ask,
        }


def fold_line(text: str, limit: int) -> str:
    """One line, whatever a template or a display name holds."""
    line = clean_line(text)
    if not line:
        raise ValueError("a text is empty")
    return shorten(line, limit)


def quote_name(name: str) -> str:
    escaped = undecoded(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
