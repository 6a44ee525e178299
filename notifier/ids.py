"""Ids that follow from what they name, so that a repeated attempt makes the same ones."""

from typing import Final
from uuid import UUID, uuid5

from notifier.decide import Notice

# Fixed for ever: another namespace would make other Message-IDs for the same notices.
NAMESPACE: Final = UUID("6f5e0d0c-6a9b-5b0a-9d51-3f1f5c1d7e21")


def notice_id(notice: Notice) -> UUID:
    balance = notice.balance
    parts = ("notice", balance.account_id, balance.resource, balance.epoch, notice.channel, notice.threshold)
    return uuid5(NAMESPACE, "\n".join(map(str, parts)))


def email_id(notice: UUID, recipient: str) -> UUID:
    return uuid5(notice, recipient)


def event_id(event_type: str, *parts: object) -> UUID:
    return uuid5(NAMESPACE, "\n".join(map(str, ("event", event_type, *parts))))
