"""Sentences about what a verb has done and what its account has now. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from meter.runtime.errors import RefusalError
from schemas.amounts import MICRO
from schemas.figures import count_of, show_balance, unit_of
from schemas.records import place_of
from schemas.times import say_time

TYPE: Final = "type"  # the field of a remark on an event that had no effect at all


class AccountNow(NamedTuple):
    plan: str
    display_name: str | None
    opened_at: datetime
    contacts: tuple[str, ...]
    state: str  # open or closed
    time_zone: str | None = None


class KeptAccount(NamedTuple):
    """What is said of an account that nobody opened; None where nothing is."""

    plan: str | None
    display_name: str | None
    time_zone: str | None
    contacts: tuple[str, ...] | None


class KeptAmount(NamedTuple):
    """What came for a resource of an account that nobody opened, in credits or runs, and in how many events."""

    resource: str
    granted: Decimal
    used: Decimal
    grants: int
    uses: int


class BalanceNow(NamedTuple):
    """In credits or runs; `account_state` is open, closed or not_opened."""

    resource: str
    allocation: Decimal
    consumed: Decimal
    remaining: Decimal
    allowed: bool
    account_state: str


class UsageNow(NamedTuple):
    """An event of usage, in credits or runs; `left` is not reversed yet."""

    source: str
    resource: str
    kind: str
    name: str
    occurred_at: datetime
    amount: Decimal
    left: Decimal


def choose_usage(account_id: str, event_id: str, found: Sequence[UsageNow]) -> UsageNow:
    """The one event that is meant. Raises RefusalError that says why there is none."""
    if not found:
        raise RefusalError(
            f"reverses_unknown: no usage of {account_id} is stored under id {event_id!a} (and the source, if one was "
            "given). Nothing is sent."
        )
    if len(found) > 1:
        sources = ", ".join(sorted(ascii(usage.source) for usage in found))
        raise RefusalError(
            f"reverses_ambiguous: {len(found)} sources used that id: {sources}. Say which with --source."
        )
    [usage] = found
    if not usage.left:
        amount = describe_amount(usage.amount, usage.resource)
        raise RefusalError(f"reverses_too_much: all of its {amount} were reversed before. Nothing is sent.")
    return usage


def describe_usage(account_id: str, usage: UsageNow) -> str:
    """`acct-7's swift-1 (model inference, 2026-11-24)`."""
    return f"{account_id}'s {usage.name} ({usage.kind.replace('_', ' ')}, {usage.occurred_at.date().isoformat()})"


def format_plain(amount: Decimal) -> str:
    """Exact, without zeros that say nothing: 10,000 and 0.25."""
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def describe_amount(amount: Decimal, resource: str) -> str:
    """Exactly what somebody asked for: `1 tool run`, `0.000001 model credits`."""
    shown = format_plain(amount)
    return f"{shown} {unit_of(resource, shown)}"


def describe_balance(balance: BalanceNow, before: BalanceNow | None = None) -> str:
    """`2 of 3 model credits left`; where it is refused, why, and whether it was so `before` a verb."""
    figures = show_balance(int(balance.consumed * MICRO), int(balance.allocation * MICRO))
    left = f"-{figures.over}" if balance.remaining <= Decimal("-0.01") else figures.left
    text = f"{left} of {figures.allocation} {unit_of(balance.resource, figures.allocation)} left"
    if balance.account_state == "not_opened":
        return "nobody opened the account yet: what was granted and used is kept until then"
    if balance.account_state == "closed":
        return f"{text}, {refused(before)}: the account is closed"
    if balance.remaining < 0:
        return f"{text}, {refused(before)}: overdrawn by {figures.over}"
    return text if balance.allowed else f"{text}, {refused(before)}"


def balance_fields(balance: BalanceNow) -> dict[str, object]:
    """For programs: the amounts as exact decimal text."""
    fields = balance._asdict()
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in fields.items()}


def kept_fields(amounts: Sequence[KeptAmount]) -> dict[str, list[dict[str, object]]]:
    """For programs: what is kept until the opening, by resource; `describe_kept` says it to people."""
    granted = [(each.resource, each.granted, each.grants) for each in amounts if each.grants]
    used = [(each.resource, each.used, each.uses) for each in amounts if each.uses]
    names = ("resource", "amount", "events")
    return {
        name: [dict(zip(names, (resource, f"{amount:f}", events), strict=True)) for resource, amount, events in found]
        for name, found in (("kept_grants", granted), ("kept_usage", used))
    }


def refused(before: BalanceNow | None) -> str:
    """`still` is for what the verb found refused already: a revocation may itself be what refuses from now on."""
    return "refused" if before is None or before.allowed else "still refused"


def describe_now(balance: BalanceNow, before: Sequence[BalanceNow] = ()) -> str:
    """What the account has after a verb; `before` is what it had of all its resources."""
    text = describe_balance(balance, next((old for old in before if old.resource == balance.resource), None))
    return text if balance.account_state == "not_opened" else f"now {text}"


def describe_kept(amounts: Sequence[KeptAmount], changes: int) -> dict[str, object]:
    """The fields of what is kept until the opening; `changes` are those of plan, name, time zone and contacts."""
    granted = [describe_counted(each.granted, each.resource, each.grants) for each in amounts if each.grants]
    used = [describe_counted(each.used, each.resource, each.uses) for each in amounts if each.uses]
    count = changes + sum(each.grants + each.uses for each in amounts)
    fields = {"kept_grants": granted, "kept_usage": used, "kept_events": count}
    return {name: value for name, value in fields.items() if value}


def describe_counted(amount: Decimal, resource: str, events: int) -> str:
    """`500 tool runs in 1 event`"""
    return f"{describe_amount(amount, resource)} in {count_of(events, 'event')}"


def describe_opening(account_id: str, account: AccountNow, balances: Iterable[BalanceNow]) -> list[str]:
    """One line for the account, one for each resource."""
    contacts = len(account.contacts)
    warned = count_of(contacts, "contact") if contacts else "no contact: nobody gets its emails"
    lines = [f"opened {account_id} on plan {account.plan}, {warned}"]
    return lines + [describe_now(balance) for balance in balances]


def find_differences(
    account: AccountNow, *, plan: str, contacts: Sequence[str], display_name: str | None
) -> dict[str, tuple[object, object]]:
    """What the account has and what was asked for, by field, where they differ.

    Contacts and name count where they were given. Their order and the case of letters make no difference.
    """
    found: dict[str, tuple[object, object]] = {}
    if account.plan != plan.lower():
        found["plan"] = (account.plan, plan)
    if contacts and fold_all(contacts) != fold_all(account.contacts):
        found["contacts"] = (list(account.contacts), list(contacts))
    if display_name is not None and display_name != account.display_name:
        found["display name"] = (account.display_name, display_name)
    return found


def fold_all(addresses: Iterable[str]) -> set[str]:
    return {address.casefold() for address in addresses}


def describe_differences(
    account_id: str,
    account: AccountNow,
    differences: dict[str, tuple[object, object]],
    outcome: str = "nothing is sent or changed",
) -> str:
    """Why an opening would change nothing, or did; `outcome` says which."""
    now = "has been open since" if account.state == "open" else "is closed, and was opened at"
    opened = f"{account_id} {now} {say_time(account.opened_at)}; {outcome}"
    if not differences:
        return f"{opened}. What it has is what was asked for."
    lines = [f"  {field}: it has {show(has)}, not {show(asked)}" for field, (has, asked) in differences.items()]
    return "\n".join([f"{opened}. What differs:", *lines])


def describe_remark(field: str, reason: str) -> str:
    """What was left out of an event, or that all of it was without effect."""
    if field == TYPE:
        return f"an event {reason}: without effect"
    return f"{place_of(field)} {reason}: left out"


def show(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)
