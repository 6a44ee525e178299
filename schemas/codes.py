"""The codes under which the event store keeps event types, and their topics. No other file writes one as a number.

Apart from the models of `schemas/events.py`: a verb that only looks knows the codes, and does not wait for pydantic to
make thirty models.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas.topics import ACCOUNTS, USAGE


class EventCode(NamedTuple):
    """`code` is the key in `meter.event_types` and never reused."""

    code: int
    type: str
    topic: str


EVENT_CODES: Final = (
    EventCode(1, "usage.model_inference.v1", USAGE),
    EventCode(2, "usage.guardrail.v1", USAGE),
    EventCode(3, "usage.custom_script.v1", USAGE),
    EventCode(4, "usage.tool_run.v1", USAGE),
    EventCode(10, "account.opened.v1", ACCOUNTS),
    EventCode(11, "account.plan_changed.v1", ACCOUNTS),
    EventCode(12, "account.contacts_changed.v1", ACCOUNTS),
    EventCode(13, "credits.granted.v1", ACCOUNTS),
    EventCode(14, "usage.reversed.v1", ACCOUNTS),
    EventCode(15, "credits.revoked.v1", ACCOUNTS),
    EventCode(16, "account.renamed.v1", ACCOUNTS),
    EventCode(17, "account.closed.v1", ACCOUNTS),
    EventCode(18, "account.reopened.v1", ACCOUNTS),
    EventCode(19, "item.changed.v1", USAGE),
    EventCode(20, "account.forgotten.v1", ACCOUNTS),
)

# Code by type name, and type name by code.
CODES: Final[Mapping[str, int]] = MappingProxyType({event.type: event.code for event in EVENT_CODES})
TYPES_BY_CODE: Final[Mapping[int, str]] = MappingProxyType({code: type for type, code in CODES.items()})
# In ascending order. Those of usage have no gap and lie below all others.
USAGE_CODES: Final = tuple(sorted(e.code for e in EVENT_CODES if e.topic == USAGE and e.type.startswith("usage.")))
ACCOUNT_CODES: Final = tuple(sorted(code for type, code in CODES.items() if type.startswith("account.")))
ITEM_CODE: Final = CODES["item.changed.v1"]
# Those with addresses, a display name or the owner of an item, which the log holds encrypted.
PERSONAL_CODES: Final = tuple(
    sorted(
        (
            *(CODES[type] for type in ("account.opened.v1", "account.contacts_changed.v1", "account.renamed.v1")),
            ITEM_CODE,
        )
    )
)
