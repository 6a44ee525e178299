"""The events on metering.notifications, made of what the notifier did. Ids follow from the cause. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from notifier.decide import BalanceSnapshot
from notifier.ids import event_id
from notifier.model import Banner, BannerCleared, BannerShown, Occurrence, OutboxEvent
from schemas.build import encode_event

SOURCE: Final = "credit-meter/notifier"
# One line without control characters: what a mail server says is foreign text.
MAX_REASON_CHARS: Final = 1000


def make_event(kind: str, number: UUID, account_id: str, data: Mapping[str, Any], at: datetime) -> OutboxEvent:
    value = encode_event(kind, account_id, dict(data), event_id=str(number), time=at, source=SOURCE)
    return OutboxEvent(account_id, value)


def render_event(occurrence: Occurrence, at: datetime) -> OutboxEvent:
    if isinstance(occurrence, BannerShown):
        return banner_shown(occurrence.banner, at, raised=occurrence.raised)
    if isinstance(occurrence, BannerCleared):
        return banner_cleared(occurrence.balance, occurrence.position, at)
    notice = occurrence.notice
    return email_queued(occurrence.email_id, occurrence.notice_id, notice.balance, notice.threshold, at)


def banner_shown(banner: Banner, at: datetime, *, raised: bool) -> OutboxEvent:
    kind = "banner.raised.v1" if raised else "banner.changed.v1"
    number = event_id(kind, banner.account_id, banner.resource, banner.shard, banner.position)
    data = {
        "account_id": banner.account_id,
        "resource": banner.resource,
        "epoch": banner.epoch,
        "shard": banner.shard,
        "position": banner.position,
        "threshold": banner.threshold,
        "kind": banner.kind.value,
        "removable": banner.removable,
        "text": banner.text,
    }
    return make_event(kind, number, banner.account_id, data, at)


def banner_cleared(balance: BalanceSnapshot, position: int, at: datetime) -> OutboxEvent:
    kind = "banner.cleared.v1"
    number = event_id(kind, balance.account_id, balance.resource, balance.shard, position)
    data = {
        "account_id": balance.account_id,
        "resource": balance.resource,
        "epoch": balance.epoch,
        "shard": balance.shard,
        "position": position,
    }
    return make_event(kind, number, balance.account_id, data, at)


def email_queued(email: UUID, notice: UUID, balance: BalanceSnapshot, threshold: int, at: datetime) -> OutboxEvent:
    return email_event("email.queued.v1", email, notice, balance, threshold, None, at)


def email_sent(email: UUID, notice: UUID, balance: BalanceSnapshot, threshold: int, at: datetime) -> OutboxEvent:
    return email_event("email.sent.v1", email, notice, balance, threshold, None, at)


def email_failed(
    email: UUID, notice: UUID, balance: BalanceSnapshot, threshold: int, reason: str, at: datetime
) -> OutboxEvent:
    return email_event("email.failed.v1", email, notice, balance, threshold, one_line(reason), at)


def email_event(
    kind: str, email: UUID, notice: UUID, balance: BalanceSnapshot, threshold: int, reason: str | None, at: datetime
) -> OutboxEvent:
    """`balance` is the one that crossed the line: the event carries its epoch, shard and position."""
    data: dict[str, Any] = {
        "email_id": str(email),
        "notice_id": str(notice),
        "account_id": balance.account_id,
        "resource": balance.resource,
        "epoch": balance.epoch,
        "threshold": threshold,
        "shard": balance.shard,
        "position": balance.position,
    }
    if reason is not None:
        data["reason"] = reason
    return make_event(kind, event_id(kind, email), balance.account_id, data, at)


def one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MAX_REASON_CHARS]
