"""Texts: banners and emails, from Jinja templates. Pure once built; the same input gives the same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
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

from meter.runtime.errors import SettingsError
from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot, BannerKind
from schemas.amounts import MICRO, format_amount

# One of them, and any other number of them.
RESOURCE_NAMES: Final = {"model_credits": ("model credit", "model credits"), "tool_runs": ("tool run", "tool runs")}
# Limits of the event that carries the text, and of a header that every mail program shows whole.
MAX_BANNER_CHARS: Final = 2000
MAX_SUBJECT_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Sender:
    """Who the emails are from, and where they lead. `reply_to` is where an answer goes, by default the sender."""

    address: str
    name: str = "Credit Meter"
    reply_to: str | None = None
    product: str = "the agent platform"
    billing_url: str | None = None
    support_url: str | None = None
    support_email: str | None = None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Letter:
    """The text of a letter; `address` makes it an email to one contact."""

    subject: str
    text: str
    html: str
    sender: Sender
    at: datetime

    def address(self, email_id: UUID, recipient: str, edition: int = 1) -> tuple[str, bytes]:
        """The Message-ID and the bytes. Everything in them follows from the input.

        `edition` above 1: an earlier one with other bytes may have arrived, so this one has an id of its own.
        """
        name = str(email_id) if edition == 1 else f"{email_id}.{edition}"
        message_id = f"<{name}@{self.sender.domain}>"
        message = EmailMessage(policy=SMTP)
        message["From"] = f"{quote_name(self.sender.name)} <{self.sender.address}>"
        message["To"] = recipient
        message["Subject"] = self.subject
        message["Date"] = format_datetime(self.at)
        message["Message-ID"] = message_id
        # RFC 3834: this header keeps out-of-office answers away.
        message["Auto-Submitted"] = "auto-generated"
        if self.sender.reply_to:
            message["Reply-To"] = self.sender.reply_to
        message.set_content(self.text, cte="quoted-printable")
        message.add_alternative(self.html, subtype="html", cte="quoted-printable")
        message.set_boundary(f"=_{email_id.hex}")
        return message_id, message.as_bytes()


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
        self._environment.globals["name_for"] = name_for

    def check(self, at: datetime) -> None:
        """Render everything once, at start: a template that cannot be used is found before it is needed."""
        try:
            for samples in sample_balances():
                letter = self.render_letter(samples, SAMPLE_ACCOUNT, at)
                letter.address(UUID(int=0), "someone@example.com")
                for kind in BannerKind:
                    self.render_banner(kind, samples[0], samples[0].line, SAMPLE_ACCOUNT)
        except Exception as error:  # a template may raise anything
            raise SettingsError(f"a template cannot be rendered: {type(error).__name__}: {error}") from error

    def render_banner(
        self, kind: BannerKind, balance: BalanceSnapshot, threshold: int, account: AccountSnapshot | None
    ) -> str:
        text = self._render(f"banner_{kind.value}.txt.j2", self._values(balance, threshold, account))
        return fold_line(text, MAX_BANNER_CHARS)

    def render_letter(self, balances: Sequence[BalanceSnapshot], account: AccountSnapshot, at: datetime) -> Letter:
        """One letter for all balances of an account; the one that is used up most comes first and gives the subject."""
        ordered = sorted(balances, key=lambda balance: (balance.line == 0, -balance.percent, balance.resource))
        each = [self._values(balance, balance.line, account) for balance in ordered]
        values = each[0] | {"balances": each}
        return Letter(
            subject=fold_line(self._render("email_subject.txt.j2", values), MAX_SUBJECT_CHARS),
            text=self._render("email.txt.j2", values).strip() + "\n",
            html=self._render("email.html.j2", values),
            sender=self._sender,
            at=at,
        )

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(values)
        except TemplateError as error:
            # A missing template is an OSError, too, which would pass for a fault of the network and be tried for ever.
            raise SettingsError(f"template {name} cannot be rendered: {type(error).__name__}: {error}") from error

    def _values(self, balance: BalanceSnapshot, threshold: int, account: AccountSnapshot | None) -> dict[str, Any]:
        """The names that templates may use; all are always there."""
        return {
            "account_id": balance.account_id,
            "account": account.title if account is not None else balance.account_id,
            "plan": account.plan if account is not None else None,
            "resource": balance.resource,
            "resource_name": RESOURCE_NAMES[balance.resource][1],
            "threshold": threshold,
            "percent": balance.percent,
            "allocation": balance.allocation,
            "consumed": balance.consumed,
            "remaining": max(0, balance.remaining),
            "is_exhausted": balance.consumed >= balance.allocation,
            "as_of": show_moment(balance.as_of),
            "sender": self._sender,
        }


def show_amount(micro: int) -> str:
    """The exact amount, with thousands separated: 1,234.5"""
    whole, _, fraction = format_amount(micro).partition(".")
    return f"{int(whole):,}" + (f".{fraction}" if fraction else "")


def name_for(resource: str, micro: int) -> str:
    """1 model credit, 1.5 model credits."""
    one, others = RESOURCE_NAMES[resource]
    return one if micro == MICRO else others


def show_moment(at: datetime | None) -> str | None:
    """5 March 2026, 09:30 UTC"""
    return None if at is None else f"{at.astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def fold_line(text: str, limit: int) -> str:
    """One line without control characters, whatever a template or a display name holds."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not line:
        raise ValueError("a text is empty")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quote_name(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


SAMPLE_ACCOUNT: Final = AccountSnapshot("example-account", 0, 1, "free", "Example Account", ("someone@example.com",))


def sample_balances() -> list[list[BalanceSnapshot]]:
    """Sample letters, for the check at start and for `notifier preview`: the first balance gives its name."""
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    used = BalanceSnapshot("example-account", "model_credits", 1, 75 * MICRO, 60_500_000, 0, 7, 80, moment)
    runs = BalanceSnapshot("example-account", "tool_runs", 1, 10_000 * MICRO, 5_000 * MICRO, 0, 8, 50, moment)
    return [[used, runs], [runs]]
