"""Data of events as producers give it: exact amounts, lists and times, or a fault that names the argument."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from meter.runtime.errors import explain
from schemas.amounts import format_number
from schemas.reasons import InvalidEventError, Reason
from schemas.resources import Resource
from schemas.times import format_time

Amount = Decimal | int | str


def credit_data(resource: Resource, amount: Amount, reason: str, **more: str | None) -> dict[str, str | None]:
    """Data of an event that moves credits or runs by hand. Raises InvalidEventError for what is no resource."""
    try:
        name = Resource(resource).value
    except ValueError:
        known = " or ".join(known.value for known in Resource)
        raise InvalidEventError(Reason.INVALID_DATA, f"resource: {resource!r} is not {known}") from None
    return {"resource": name, "amount": decimal_text(amount), "reason": reason, **more}


def decimal_text(amount: Amount) -> str:
    """Exact decimal text. A float is refused: it is not the amount that was meant."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
        raise TypeError(
            f'amounts are Decimal, int or decimal text, not {type(amount).__name__}: write "0.25" or Decimal("0.25")'
        )
    return amount if isinstance(amount, str) else format_number(amount)


def contact_list(contacts: Sequence[str]) -> list[str]:
    """Raises InvalidEventError for one address where a list is wanted: it would be taken letter by letter."""
    if isinstance(contacts, str | bytes) or not isinstance(contacts, Iterable):
        said = f"contacts: {type(contacts).__name__} is no list of addresses"
        raise InvalidEventError(Reason.INVALID_CONTACTS, f'{said}: write ["name@example.com"]')
    return list(contacts)


def time_text(name: str, moment: datetime | None) -> str | None:
    """Raises InvalidEventError that names the field."""
    try:
        return None if moment is None else format_time(moment)
    except ValueError as error:
        raise InvalidEventError(Reason.INVALID_DATA, f"{name}: {explain(error)}") from None
