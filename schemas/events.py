"""Every event type: its code, its topic and the model of its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.inputs import (
    AccountClosed,
    AccountForgotten,
    AccountOpened,
    AccountRenamed,
    AccountReopened,
    ContactsChanged,
    CreditsGranted,
    CreditsRevoked,
    CustomScript,
    EventData,
    Guardrail,
    ItemChanged,
    ModelInference,
    PlanChanged,
    ToolRun,
    UsageReversed,
)
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
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, NOTIFICATIONS, USAGE

__all__ = [
    "CODES",
    "INPUT_TYPES",
    "OUTPUT_TYPES",
    "PERSONAL_CODES",
    "TYPES_BY_CODE",
    "AccountChanged",
    "AccountChangedV1",
    "AccountClosed",
    "AccountForgotten",
    "AccountOpened",
    "AccountRenamed",
    "AccountReopened",
    "BalanceChanged",
    "BannerChanged",
    "BannerCleared",
    "BannerRaised",
    "ContactsChanged",
    "CreditsGranted",
    "CreditsRevoked",
    "CustomScript",
    "EmailEnded",
    "EmailQueued",
    "EventData",
    "EventType",
    "ForgottenListed",
    "Guardrail",
    "ItemChanged",
    "LogAnchored",
    "ModelInference",
    "OutputType",
    "PlanChanged",
    "ToolRun",
    "UsageReversed",
]


Model = type[EventData]


@dataclass(frozen=True, slots=True)
class OutputType:
    """An event type that the services publish."""

    type: str
    topic: str
    model: Model


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type that the meter stores; `code` is its key in `meter.event_types` and never reused."""

    code: int
    type: str
    topic: str
    model: Model


INPUT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType(
    {
        event.type: event
        for event in (
            EventType(1, "usage.model_inference.v1", USAGE, ModelInference),
            EventType(2, "usage.guardrail.v1", USAGE, Guardrail),
            EventType(3, "usage.custom_script.v1", USAGE, CustomScript),
            EventType(4, "usage.tool_run.v1", USAGE, ToolRun),
            EventType(10, "account.opened.v1", ACCOUNTS, AccountOpened),
            EventType(11, "account.plan_changed.v1", ACCOUNTS, PlanChanged),
            EventType(12, "account.contacts_changed.v1", ACCOUNTS, ContactsChanged),
            EventType(13, "credits.granted.v1", ACCOUNTS, CreditsGranted),
            EventType(14, "usage.reversed.v1", ACCOUNTS, UsageReversed),
            EventType(15, "credits.revoked.v1", ACCOUNTS, CreditsRevoked),
            EventType(16, "account.renamed.v1", ACCOUNTS, AccountRenamed),
            EventType(17, "account.closed.v1", ACCOUNTS, AccountClosed),
            EventType(18, "account.reopened.v1", ACCOUNTS, AccountReopened),
            EventType(19, "item.changed.v1", USAGE, ItemChanged),
            EventType(20, "account.forgotten.v1", ACCOUNTS, AccountForgotten),
        )
    }
)

# Code by type name, and type name by code. No other code writes a type code as a number.
CODES: Final[Mapping[str, int]] = MappingProxyType({event.type: event.code for event in INPUT_TYPES.values()})
TYPES_BY_CODE: Final[Mapping[int, str]] = MappingProxyType({code: type for type, code in CODES.items()})
# In ascending order. Those of usage have no gap and lie below all others.
USAGE_CODES: Final = tuple(
    sorted(e.code for e in INPUT_TYPES.values() if e.topic == USAGE and e.type.startswith("usage."))
)
ACCOUNT_CODES: Final = tuple(sorted(code for type, code in CODES.items() if type.startswith("account.")))
# Those with addresses or a display name, which the log holds encrypted.
PERSONAL_CODES: Final = tuple(
    sorted(CODES[type] for type in ("account.opened.v1", "account.contacts_changed.v1", "account.renamed.v1"))
)

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
