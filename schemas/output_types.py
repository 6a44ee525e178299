"""Every event type that the services publish, with its topic and the model of its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.events import Model
from schemas.outputs import (
    AccountChanged,
    AccountChangedV1,
    BalanceChanged,
    BannerChanged,
    BannerCleared,
    BannerRaised,
    EmailEnded,
    EmailQueued,
    ForgottenListed,
    LogAnchored,
)
from schemas.topics import ANCHORS, BALANCES, NOTIFICATIONS


@dataclass(frozen=True, slots=True)
class OutputType:
    """An event type that the services publish."""

    type: str
    topic: str
    model: Model


OUTPUT_TYPES: Final[Mapping[str, OutputType]] = MappingProxyType(
    {
        event.type: event
        for event in (
            OutputType("balance.changed.v1", BALANCES, BalanceChanged),
            OutputType("account.changed.v1", BALANCES, AccountChangedV1),
            OutputType("account.changed.v2", BALANCES, AccountChanged),
            OutputType("banner.raised.v1", NOTIFICATIONS, BannerRaised),
            OutputType("banner.changed.v1", NOTIFICATIONS, BannerChanged),
            OutputType("banner.cleared.v1", NOTIFICATIONS, BannerCleared),
            OutputType("email.queued.v2", NOTIFICATIONS, EmailQueued),
            OutputType("email.ended.v2", NOTIFICATIONS, EmailEnded),
            OutputType("log.anchored.v1", ANCHORS, LogAnchored),
            OutputType("forgotten.listed.v1", ANCHORS, ForgottenListed),
        )
    }
)
