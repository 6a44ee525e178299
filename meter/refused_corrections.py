"""Why a reversal or revocation is refused, in words. Pure. Amounts are in micro-units."""

from collections.abc import Sequence
from typing import Final

from meter.content import RESOURCES
from schemas.amounts import format_amount
from schemas.figures import unit_of

SHOWN_SOURCES: Final = 3


def describe(amount: int, resource: int) -> str:
    """`1 model credit`, exactly."""
    shown = format_amount(amount)
    return f"{shown} {unit_of(RESOURCES[resource], shown)}"


def describe_reversible(amount: int, resource: int, left: int) -> str:
    """Of usage of `amount`, what can still be reversed; more was asked for."""
    used = describe(amount, resource)
    if left == 0:
        return f"all of its {used} were reversed before"
    if left == amount:
        return f"no more than its {used} can be reversed"
    return f"of its {used} only {format_amount(left)} can still be reversed"


def describe_revocable(left: int, whole: int, resource: int, of: str) -> str:
    """What can be taken back of what was granted; more was asked for."""
    if whole == 0:
        return f"no {unit_of(RESOURCES[resource], '')} were {of}"
    if left == 0:
        return f"all of the {describe(whole, resource)} {of} were taken back before"
    if left == whole:
        return f"no more than the {describe(whole, resource)} {of} can be taken back"
    return f"of the {describe(whole, resource)} {of} only {format_amount(left)} can still be taken back"


def describe_grant(event_id: str, reference: str) -> str:
    """Behind an amount: `of grant 'order-1' (reference 'INV-1042')`."""
    shown = f" (reference {reference!a})" if reference else ""
    return f"of grant {event_id!a}{shown}"


def describe_name(account_id: str, event_id: str) -> str:
    return f"id {event_id!a} of account {account_id}"


def describe_sources(sources: Sequence[str]) -> str:
    shown = ", ".join(ascii(source[:100]) for source in sources[:SHOWN_SOURCES])
    more = len(sources) - SHOWN_SOURCES
    return f"{len(sources)} sources: {shown}" + (f" and {more} more" if more > 0 else "")
