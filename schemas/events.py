"""Every event type that the meter stores, with the model of its data; codes and topics stand in `schemas/codes.py`.

What the services publish is in `schemas/output_types.py`: whoever sends events does not wait for its models."""

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

__all__ = [
    "ACCOUNT_CODES",
    "CODES",
    "INPUT_TYPES",
    "PERSONAL_CODES",
    "TYPES_BY_CODE",
    "USAGE_CODES",
    "AccountClosed",
    "AccountForgotten",
    "AccountOpened",
    "AccountRenamed",
    "AccountReopened",
    "ContactsChanged",
    "CreditsGranted",
    "CreditsRevoked",
    "CustomScript",
    "EventData",
    "EventType",
    "Guardrail",
    "ItemChanged",
    "ModelInference",
    "PlanChanged",
    "ToolRun",
    "UsageReversed",
]


Model = type[EventData]


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
