"""How many letters a day may bring: to a contact, to an address of many accounts, and of one account. Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple


class DayLimits(NamedTuple):
    """Most letters in 24 hours."""

    contact: int  # to one contact of one account
    address: int  # to one address, of all accounts
    account: int  # of one account, to all its contacts


class Cap(NamedTuple):
    """As many letters as a day may bring have gone."""

    limit: str  # its name in DayLimits
    wait_s: float

    @property
    def reason(self) -> str:
        return REASONS[self.limit]


REASONS: Final = {
    "contact": "the contact has had as many letters as one day may bring (METERING_MAIL_DAY_LIMIT)",
    "address": "the address has had as many letters, of all accounts, as one day may bring "
    "(METERING_MAIL_ADDRESS_DAY_LIMIT)",
    "account": "the account has sent as many letters as one day may bring (METERING_MAIL_ACCOUNT_DAY_LIMIT)",
}


def find_cap(waits: Iterable[tuple[str, float | None]]) -> Cap | None:
    """Of the limits that are reached, each with the seconds until it has room, the one that holds longest."""
    reached = [Cap(limit, wait_s) for limit, wait_s in waits if wait_s is not None]
    return max(reached, key=lambda cap: cap.wait_s, default=None)
