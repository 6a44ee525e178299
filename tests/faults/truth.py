"""The truth about what the campaign sends: about every event by its number, and about the accounts.

The number of an event is part of its id, so that the oracle finds the truth about a stored row without a dictionary of
millions of ids. Nothing of the product is used to remember anything here.
"""

from array import array
from dataclasses import dataclass
from typing import NamedTuple

from tests.bench.events import MICRO

USAGE, ACCOUNTS = "metering.usage", "metering.accounts"
MODEL_INFERENCE, GUARDRAIL, CUSTOM_SCRIPT, TOOL_RUN = 1, 2, 3, 4
OPENED, PLAN_CHANGED, CONTACTS_CHANGED, GRANTED, REVERSED, REVOKED = 10, 11, 12, 13, 14, 15
RENAMED, CLOSED, REOPENED = 16, 17, 18
CREDITS, RUNS = 1, 2
RESOURCES = {CREDITS: "model_credits", RUNS: "tool_runs"}
FREE = {CREDITS: 75 * MICRO, RUNS: 10_000 * MICRO}
TYPES = {
    MODEL_INFERENCE: "usage.model_inference.v1",
    GUARDRAIL: "usage.guardrail.v1",
    CUSTOM_SCRIPT: "usage.custom_script.v1",
    TOOL_RUN: "usage.tool_run.v1",
    OPENED: "account.opened.v1",
    PLAN_CHANGED: "account.plan_changed.v1",
    CONTACTS_CHANGED: "account.contacts_changed.v1",
    GRANTED: "credits.granted.v1",
    REVERSED: "usage.reversed.v1",
    REVOKED: "credits.revoked.v1",
    RENAMED: "account.renamed.v1",
    CLOSED: "account.closed.v1",
    REOPENED: "account.reopened.v1",
}
NUMBER_BYTES = 5
GARBAGE = -1
NOTHING = -1  # what an event names that takes nothing back


class Message(NamedTuple):
    """One record to send; `number` of a sound event, or GARBAGE."""

    topic: str
    key: bytes
    value: bytes
    number: int


class Truth:
    """Kind, account, resource, amount in micro-units and what it takes back of every sound event, by its number."""

    def __init__(self) -> None:
        self.kinds = array("b")
        self.accounts = array("i")
        self.resources = array("b")
        self.amounts = array("q")
        self.names = array("q")  # number of the usage that is reversed, or of the grant that is revoked

    def __len__(self) -> int:
        return len(self.kinds)

    def add(self, kind: int, account: int, resource: int, amount: int, names: int = NOTHING) -> int:
        self.kinds.append(kind)
        self.accounts.append(account)
        self.resources.append(resource)
        self.amounts.append(amount)
        self.names.append(names)
        return len(self.kinds) - 1


@dataclass(slots=True)
class Account:
    name: str
    contacts: tuple[str, ...]
    steps_left: int | None = None  # None: usage without end


@dataclass(slots=True)
class Named:
    """An event that the broker has and that may be taken back; `left` as far as this world knows."""

    number: int
    event_id: str
    left: int


def number_of(event_id: bytes) -> int:
    """The number in the last bytes of an id of ours."""
    return int.from_bytes(event_id[-NUMBER_BYTES:])
