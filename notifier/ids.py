"""Ids that follow from what they name, so that a repeated attempt makes the same ones."""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from notifier.decide import Channel, Notice

# Fixed for ever: another namespace would make other Message-IDs for the same notices.
NAMESPACE: Final = UUID("6f5e0d0c-6a9b-5b0a-9d51-3f1f5c1d7e21")


def notice_id(notice: Notice) -> UUID:
    balance = notice.balance
    return make_notice_id(balance.account_id, balance.resource, balance.epoch, notice.channel, notice.threshold)


def make_notice_id(account_id: str, resource: str, epoch: int, channel: Channel, threshold: int) -> UUID:
    return uuid5(NAMESPACE, "\n".join(map(str, ("notice", account_id, resource, epoch, channel, threshold))))


def line_notice_id(account_id: str, resource: str, epoch: int, threshold: int) -> UUID:
    """The id of the notice of a line of emails."""
    return make_notice_id(account_id, resource, epoch, Channel.EMAIL, threshold)


def email_id(notice: UUID, recipient: str, position: int, generation: int = 1) -> UUID:
    """`position` is that of the change that makes the letter owed: the same line may be owed again later."""
    return uuid5(notice, f"{recipient}\n{position}" if generation == 1 else f"{recipient}\n{position}\n{generation}")


def next_email_id(ended: UUID) -> UUID:
    """Of the letter that takes the place of one that ended, where something is owed still."""
    return uuid5(ended, "next")


def retry_email_id(ended: UUID, at: datetime) -> UUID:
    """Of the letter that a person asks for in place of one that ended."""
    return uuid5(ended, f"retry\n{at.isoformat()}")


def contact_id(account_id: str, shard: int, position: int, place: int) -> UUID:
    """Of a contact, for events: it follows from the event that first named them, and tells nothing of the address."""
    return uuid5(NAMESPACE, "\n".join(map(str, ("contact", account_id, shard, position, place))))


def event_id(event_type: str, *parts: object) -> UUID:
    return uuid5(NAMESPACE, "\n".join(map(str, ("event", event_type, *parts))))
