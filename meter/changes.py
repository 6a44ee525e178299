"""Changes of an account that a person asks for: whether one has an effect, and what to say of it. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from meter.effects import TYPE, AccountNow, fold_all, show
from schemas.contacts import take_contacts
from schemas.records import Remark

SHOWN_PLANS: Final = 10


class Change(NamedTuple):
    """What an account is to have; None for what stays as it is."""

    plan: str | None = None
    display_name: str | None = None
    time_zone: str | None = None
    contacts: Sequence[str] | None = None
    state: str | None = None  # open or closed

    def describe(self, account_id: str) -> str:
        """What was done, by its event."""
        if self.state is not None:
            return f"{'closed' if self.state == 'closed' else 'reopened'} {account_id}"
        if self.contacts is not None:
            return f"{account_id} has {count_contacts(self.contacts)}: {show(list(self.contacts))}"
        if self.plan is not None:
            return f"{account_id} has plan {self.plan.lower()}"
        named = [] if self.display_name is None else [f"is named {self.display_name}"]
        zoned = [] if self.time_zone is None else [f"has time zone {self.time_zone}"]
        return f"{account_id} {' and '.join(named + zoned)}"

    def is_in(self, account: AccountNow) -> bool:
        """Whether the account has all of it. Order and spelling of contacts make no difference."""
        return (
            (self.plan is None or self.plan.lower() == account.plan)
            and self.display_name in (None, account.display_name)
            and self.time_zone in (None, account.time_zone)
            and self.state in (None, account.state)
            and (self.contacts is None or fold_contacts(self.contacts) == fold_all(account.contacts))
        )


def fold_contacts(addresses: Sequence[str]) -> set[str]:
    """As the meter takes them: domains in their ASCII form."""
    return fold_all(take_contacts(list(addresses)).contacts)


def find_refusal(account_id: str, change: Change, account: AccountNow | None) -> str | None:
    """Why the change would have no effect; None where it has one. What nobody opened keeps all but its state."""
    if account is None:
        return f"nobody opened {account_id}: {describe_unopened(change)}" if change.state is not None else None
    if change.is_in(account):
        return f"{account_id} is as it was asked to be: {describe_account(account)}. Nothing is sent."
    return None


def find_no_effect(remarks: Iterable[Remark]) -> str | None:
    """Why an event that is stored had none; None where it had one."""
    return next((remark.reason for remark in remarks if remark.field == TYPE), None)


def describe_forgotten(account_id: str) -> str:
    """Why no address or name is sent of an account that was forgotten."""
    return (
        f"{account_id} was forgotten: addresses and names are not kept any more. Nothing is sent. "
        "Open another account for whoever is to be written to."
    )


def doubt_plan(plan: str, is_known: bool, plans: Sequence[str]) -> str | None:
    """What to say before a plan that may be a slip of the keyboard; None where an account has it. Plans are what
    billing says they are, so one that is new here is asked about and not refused."""
    if is_known:
        return None
    return f"no account has plan {plan.lower()}; accounts have {', '.join(plans) or 'none yet'}"


def describe_unopened(change: Change) -> str:
    verb = "close" if change.state == "closed" else "reopen"
    return f"there is nothing to {verb}, and nothing is sent"


def describe_account(account: AccountNow) -> str:
    """`open, plan team, name Ann, time zone Asia/Tokyo, 2 contacts`"""
    parts = [account.state, f"plan {account.plan}"]
    parts += [f"name {account.display_name}"] if account.display_name else []
    parts += [f"time zone {account.time_zone}"] if account.time_zone else []
    return ", ".join([*parts, count_contacts(account.contacts)])


def count_contacts(contacts: Sequence[str]) -> str:
    return f"{len(contacts) or 'no'} contact{'' if len(contacts) == 1 else 's'}"


def describe_change(account_id: str, change: Change, account: AccountNow | None) -> str:
    """What was done, and what the account is now; of one that nobody opened, that it is kept."""
    done = change.describe(account_id)
    if account is None:
        return f"kept: {done}. Nobody opened it yet; the opening will not change this"
    return f"{done}; now {describe_account(account)}"
