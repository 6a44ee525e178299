"""The free allowance of a new account: one `credits.granted` per resource, stored together with `account.opened`.

So the log keeps the amounts in force that day, whatever the settings say later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import orjson

from schemas.amounts import MICRO, format_amount
from schemas.codes import CODES
from schemas.identity import OWN_SOURCE, identity_key
from schemas.records import Accepted
from schemas.resources import RESOURCE_CODES, RESOURCES_BY_CODE, Resource
from schemas.topics import ACCOUNTS

OPENED = CODES["account.opened.v1"]
GRANTED = CODES["credits.granted.v1"]
REASON = "free_allowance"
# Fixed for ever: ids of the free grants follow from it, so that opening an account twice grants once.
NAMESPACE = UUID("d02a5ba1-40eb-535c-97a2-cfd4dba9cf05")


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


def pass_on(rows: Sequence[Accepted], lost: Sequence[Accepted]) -> list[Accepted]:
    """`rows` with free grants that lost their opening: they go to the first opening of their account among the rows, if
    there is one, which is then the one that opens it."""
    by_account: dict[str, list[Accepted]] = {}
    for grant in lost:
        by_account.setdefault(grant.account_id, []).append(grant)
    passed: list[Accepted] = []
    for row in rows:
        passed.append(row)
        if row.type == OPENED:
            grants = by_account.pop(row.account_id, ())
            passed += [grant_row(row, RESOURCES_BY_CODE[grant.resource or 0], grant.amount) for grant in grants]
    return passed


def grant_row(opened: Accepted, resource: Resource, amount: int) -> Accepted:
    data = {
        "resource": resource.value,
        "amount": format_amount(amount),
        "reason": REASON,
        "reference": opened.event_id,
    }
    event_id = free_grant_id(opened.account_id, resource)
    return opened._replace(
        event_id=event_id,
        type=GRANTED,
        resource=RESOURCE_CODES[resource],
        amount=amount,
        name=REASON,
        source=OWN_SOURCE,
        data=orjson.dumps(data).decode(),
        extensions=None,
        key=identity_key(ACCOUNTS, opened.account_id, OWN_SOURCE, event_id),
    )


def free_grant_id(account_id: str, resource: Resource) -> str:
    """The event id of an account's free grant of a resource: a hash of the account, in a UUID of version 8.

    Anybody can work it out, but the meter's source is part of the grant's identity and refused to everybody else: no
    event sent ahead can block the grant.
    """
    text = str(uuid5(NAMESPACE, f"{account_id}/{resource.value}"))
    return f"{text[:14]}8{text[15:]}"
