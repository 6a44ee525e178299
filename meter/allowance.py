"""The free allowance of a new account: one `credits.granted` per resource, stored together with `account.opened`.

History so keeps the amounts that were in force on the day, whatever the settings say later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

import orjson

from schemas.amounts import MICRO, format_amount
from schemas.events import INPUT_TYPES
from schemas.records import Accepted
from schemas.resources import RESOURCE_CODES, Resource

GRANTED = INPUT_TYPES["credits.granted.v1"].code
REASON = "free_allowance"
SOURCE = "/credit-meter/meter"
# Fixed for ever: ids of the free grants follow from it, so that opening an account twice grants once.
NAMESPACE = UUID("d02a5ba1-40eb-535c-97a2-cfd4dba9cf05")
VERSION_AT = 14  # of the version's digit in the text of a UUID
RESERVED_VERSION = "8"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Free amounts per resource, in micro-units; 0 grants nothing."""

    model_credits: int = 75 * MICRO
    tool_runs: int = 10_000 * MICRO

    def amounts(self) -> Iterator[tuple[Resource, int]]:
        yield Resource.MODEL_CREDITS, self.model_credits
        yield Resource.TOOL_RUNS, self.tool_runs

    def grants_for(self, opened: Accepted) -> Iterator[Accepted]:
        """The rows that follow an `account.opened` row."""
        for resource, amount in self.amounts():
            if amount > 0:
                yield grant_row(opened, resource, amount)


def grant_row(opened: Accepted, resource: Resource, amount: int) -> Accepted:
    data = {
        "resource": resource.value,
        "amount": format_amount(amount),
        "reason": REASON,
        "reference": opened.event_id,
    }
    return opened._replace(
        event_id=free_grant_id(opened.account_id, resource),
        type=GRANTED,
        resource=RESOURCE_CODES[resource],
        amount=amount,
        name=REASON,
        source=SOURCE,
        data=orjson.dumps(data).decode(),
        extensions=None,
    )


def free_grant_id(account_id: str, resource: Resource) -> str:
    """The event id of an account's free grant of a resource: a hash of the account, in a UUID of version 8.

    Anybody can work it out, so nobody may use it: an event sent ahead with this id would block the grant. No producer
    makes version 8 by itself, and the plan rejects it.
    """
    text = str(uuid5(NAMESPACE, f"{account_id}/{resource.value}"))
    return text[:VERSION_AT] + RESERVED_VERSION + text[VERSION_AT + 1 :]
