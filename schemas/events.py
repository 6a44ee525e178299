"""Every event type with the model of its data; codes and topics of inputs stand in `schemas/codes.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.codes import ACCOUNT_CODES, CODES, EVENT_CODES, PERSONAL_CODES, TYPES_BY_CODE, USAGE_CODES
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
from schemas.topics import ANCHORS, BALANCES, NOTIFICATIONS

__all__ = [
    "ACCOUNT_CODES",
    "CODES",
    "INPUT_TYPES",
    "OUTPUT_TYPES",
    "PERSONAL_CODES",
    "TYPES_BY_CODE",
    "USAGE_CODES",
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
    """An event type that the meter stores."""

    code: int
    type: str
    topic: str
    model: Model


_MODELS: Final[Mapping[str, Model]] = MappingProxyType(
    {
        "usage.model_inference.v1": ModelInference,
        "usage.guardrail.v1": Guardrail,
        "usage.custom_script.v1": CustomScript,
        "usage.tool_run.v1": ToolRun,
        "account.opened.v1": AccountOpened,
        "account.plan_changed.v1": PlanChanged,
        "account.contacts_changed.v1": ContactsChanged,
        "credits.granted.v1": CreditsGranted,
        "usage.reversed.v1": UsageReversed,
        "credits.revoked.v1": CreditsRevoked,
        "account.renamed.v1": AccountRenamed,
        "account.closed.v1": AccountClosed,
        "account.reopened.v1": AccountReopened,
        "item.changed.v1": ItemChanged,
        "account.forgotten.v1": AccountForgotten,
    }
)
INPUT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType(
    {event.type: EventType(*event, _MODELS[event.type]) for event in EVENT_CODES}
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
