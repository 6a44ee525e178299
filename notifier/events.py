"""The events on metering.notifications, made of what the notifier did. Ids follow from the cause. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from notifier.addresses import hide_addresses
from notifier.ids import event_id
from notifier.letters import Lines
from notifier.model import Banner, BannerCleared, BannerShown, EmailRow, Occurrence, OutboxEvent
from schemas.build import encode_event

SOURCE: Final = "/credit-meter/notifier"
# One line without control characters: what a mail server says is foreign text.
MAX_REASON_CHARS: Final = 1000
QUEUED: Final = "email.queued.v2"
ENDED: Final = "email.ended.v2"


def make_event(kind: str, number: UUID, account_id: str, data: Mapping[str, Any], at: datetime) -> OutboxEvent:
    value = encode_event(kind, account_id, dict(data), event_id=str(number), time=at, source=SOURCE)
    return OutboxEvent(account_id, value)


def render_event(occurrence: Occurrence, at: datetime) -> OutboxEvent:
    if isinstance(occurrence, BannerShown):
        return banner_shown(occurrence.banner, at, raised=occurrence.raised)
    return banner_cleared(occurrence, at)


def banner_shown(banner: Banner, at: datetime, *, raised: bool) -> OutboxEvent:
    kind = "banner.raised.v1" if raised else "banner.changed.v1"
    number = event_id(kind, banner.account_id, banner.resource, banner.shard, *place(banner))
    data = {
        "account_id": banner.account_id,
        "resource": banner.resource,
        "epoch": banner.epoch,
        "shard": banner.shard,
        "position": banner.position,
        "generation": banner.generation,
        "threshold": banner.threshold,
        "kind": banner.kind.value,
        "removable": banner.removable,
        "text": banner.text,
    }
    return make_event(kind, number, banner.account_id, data, at)


def banner_cleared(cleared: BannerCleared, at: datetime) -> OutboxEvent:
    kind, balance = "banner.cleared.v1", cleared.balance
    number = event_id(kind, balance.account_id, balance.resource, balance.shard, *place(cleared))
    data = {
        "account_id": balance.account_id,
        "resource": balance.resource,
        "epoch": balance.epoch,
        "shard": balance.shard,
        "position": cleared.position,
        "generation": cleared.generation,
    }
    return make_event(kind, number, balance.account_id, data, at)


def place(of: Banner | BannerCleared) -> tuple[int, ...]:
    """What tells the events of one banner apart. A position means another change in each generation."""
    return (of.position,) if of.generation == 1 else (of.position, of.generation)


def email_queued(email: EmailRow, at: datetime) -> OutboxEvent:
    return make_event(QUEUED, event_id(QUEUED, email.email_id), email.account_id, email_data(email), at)


def email_ended(email: EmailRow, outcome: str, lines: Lines, reason: str, at: datetime) -> OutboxEvent:
    """`lines` is what the bytes show that were handed over last."""
    told = [
        {"resource": resource, "epoch": shown.epoch, "threshold": shown.line, "position": shown.position}
        for resource, shown in sorted(lines.items())
    ]
    data = email_data(email) | {"outcome": outcome, "lines": told}
    if reason:
        data["reason"] = one_line(hide_addresses(reason, email.recipient))
    return make_event(ENDED, event_id(ENDED, email.email_id), email.account_id, data, at)


def email_data(email: EmailRow) -> dict[str, Any]:
    return {
        "email_id": str(email.email_id),
        "account_id": email.account_id,
        "contact_id": str(email.contact_id),
        "shard": email.shard,
        "generation": email.generation,
    }


def one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MAX_REASON_CHARS]
