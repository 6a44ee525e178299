"""`projections verify` on letters: what contacts were told, and which letters are on their way, against the log.

What every contact must have been told follows from the log (epochs, lines, contacts in force) and from what letters
said, with the time and the epoch of each. `told.py` works it out; this module fetches both sides and lists differences.
Addresses stay inside: a difference names a contact by id.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from meter.runtime.postgres import Executor
from projections.sealed import Opened
from projections.store import sql
from projections.told import Begun, Listing, Person, Saying, Start, Story, find_levels, highest_line
from projections.walk import Epoch
from schemas.resources import RESOURCES_BY_CODE

STATEMENT_TIMEOUT_S = 24 * 3600

Found = tuple[str, str, str | None, str | None]  # account, what, stored, log


class Period(NamedTuple):
    """Thresholds, and the position from which they count."""

    position: int
    banner: Sequence[int]
    email: Sequence[int]


class LetterReport(NamedTuple):
    """`ending`: letters on their way that nobody is owed any more; they end when it is their turn."""

    found: list[Found]
    ending: int


@dataclass(slots=True)
class AccountSides:
    """Of one account: what the notifier holds, and what the log says."""

    reached: dict[str, tuple[int, int]] = field(default_factory=dict)  # by resource: epoch and line, as stored
    due: dict[str, tuple[int, int]] = field(default_factory=dict)  # the same by the log
    stored_amounts: dict[str, tuple[int, int]] = field(default_factory=dict)  # allocation and what is used of it
    amounts: dict[str, tuple[int, int]] = field(default_factory=dict)  # the same by the log
    begun: dict[str, list[Begun]] = field(default_factory=dict)
    listings: list[Listing] = field(default_factory=list)
    is_open: bool = True
    contacts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    sayings: list[Saying] = field(default_factory=list)


async def compare_letters(
    connection: Executor,
    shard: int,
    position: int,
    epochs: Iterable[Epoch],
    periods: Sequence[Period],
    opened: Opened,
) -> LetterReport:
    """What lies before the first of `periods` was not recorded: there the lines that the notifier keeps are taken."""
    sides = await fetch_sides(connection, shard, position, epochs, periods, opened)
    found: list[Found] = []
    ending = 0
    for account_id, side in sorted(sides.items()):
        differences, own = judge(side, periods[0].position)
        found += [(account_id, *difference) for difference in differences]
        ending += own
    return LetterReport(found, ending)


async def fetch_sides(
    connection: Executor,
    shard: int,
    position: int,
    epochs: Iterable[Epoch],
    periods: Sequence[Period],
    opened: Opened,
) -> dict[str, AccountSides]:
    """Accounts that the notifier knows a balance or a contact of, by id. Of those that were forgotten the log
    cannot say any more who was told what: their lines alone are compared."""
    heard = await connection.fetchval(sql("fetch_heard"), shard) or 0
    sides: dict[str, AccountSides] = {}
    balances = await fetch(connection, "sum_noticed_usage", shard, position)
    seen = {(row["account_id"], row["resource"]): row for row in balances}
    for row in balances:
        side = sides.setdefault(row["account_id"], AccountSides())
        side.reached[row["resource"]] = row["epoch"], row["line"]
        side.due[row["resource"]] = 0, 0
        side.stored_amounts[row["resource"]] = int(row["allocation"]), int(row["used"])
    for epoch in epochs:
        resource = RESOURCES_BY_CODE[epoch.resource].value
        if (balance := seen.get((epoch.account_id, resource))) is not None and epoch.position <= balance["position"]:
            place_epoch(sides[epoch.account_id], resource, epoch, balance, periods)
    for row in await fetch(connection, "list_contact_changes", shard, min(heard, position), *opened.columns):
        take_change(sides.setdefault(row["account_id"], AccountSides()), row)
    for row in await fetch(connection, "fetch_told", shard):
        sides.setdefault(row["account_id"], AccountSides()).contacts[row["contact"]] = row
    for account_id, *saying in await fetch(connection, "fetch_sayings", shard):
        sides.setdefault(account_id, AccountSides()).sayings.append(Saying(*saying))
    for account_id in opened.forgotten & sides.keys():
        side = sides[account_id]
        side.contacts, side.sayings, side.listings = {}, [], []
    return sides


async def fetch(connection: Executor, name: str, *arguments: object) -> Sequence[Any]:
    return await connection.fetch(sql(name), *arguments, timeout=STATEMENT_TIMEOUT_S)


def place_epoch(
    side: AccountSides, resource: str, epoch: Epoch, balance: Mapping[str, Any], periods: Sequence[Period]
) -> None:
    """Epochs come in order, so the last one is that of the balance."""
    allocation = epoch.granted - epoch.base
    line = highest_line(epoch.consumed - epoch.base, allocation, lines_at(periods, epoch.position))
    side.begun.setdefault(resource, []).append(Begun(epoch.epoch, epoch.position, line))
    used = int(balance["consumed"]) - epoch.base
    now = highest_line(used, allocation, lines_at(periods, balance["position"]))
    side.amounts[resource] = allocation, used
    is_recorded = balance["position"] >= periods[0].position
    side.due[resource] = epoch.epoch, now if is_recorded else balance["line"]


def lines_at(periods: Sequence[Period], position: int) -> Sequence[int]:
    """The thresholds of emails that count at a position; the first of them stand for what lies before."""
    return next((period.email for period in reversed(periods) if period.position <= position), periods[0].email)


def take_change(side: AccountSides, row: Mapping[str, Any]) -> None:
    if row["contacts"] is not None:
        side.listings.append(Listing(row["position"], tuple(dict.fromkeys(json.loads(row["contacts"])))))
    else:
        side.is_open = not row["closes"]


def spell_as_stored(side: AccountSides) -> None:
    """Two spellings of one address are one contact, who has the spelling in which they first came."""
    stored = {address.casefold(): address for address in side.contacts}
    for place, listing in enumerate(side.listings):
        addresses = (stored.get(address.casefold(), address) for address in listing.addresses)
        side.listings[place] = listing._replace(addresses=tuple(dict.fromkeys(addresses)))


def judge(side: AccountSides, since: int) -> tuple[list[tuple[str, str | None, str | None]], int]:
    """Differences, and how many letters are on their way that nobody is owed any more."""
    spell_as_stored(side)
    levels = find_levels(Story(side.begun, side.listings, make_people(side), side.sayings, since))
    found = list(compare_lines(side))
    ending = 0
    listed = side.listings[-1].addresses if side.listings else ()
    unknown = sum(address not in side.contacts for address in listed)
    if unknown:
        found.append(("contacts that the notifier does not have", None, describe(contacts=unknown)))
    for address, contact in side.contacts.items():
        own = {resource: levels[address, resource] for resource in side.begun}
        found += compare_contact(side, contact, own, is_contact=address in listed)
        due = is_due(side, contact, own, is_contact=address in listed)
        ending += contact["unsent"] is not None and not due
    return found, ending


def make_people(side: AccountSides) -> dict[str, Person]:
    return {
        address: Person(address, row["joined_at"], {name: Start(*told["start"]) for name, told in told_of(row).items()})
        for address, row in side.contacts.items()
    }


def told_of(contact: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = json.loads(contact["told"])
    return found


def compare_lines(side: AccountSides) -> Iterator[tuple[str, str | None, str | None]]:
    for resource, stored in sorted(side.reached.items()):
        if stored != side.due[resource]:
            (epoch, line), (due_epoch, due_line) = stored, side.due[resource]
            yield (
                f"{resource} line reached", describe(epoch=epoch, line=line), describe(epoch=due_epoch, line=due_line)
            )  # fmt: skip
        elif (amounts := side.amounts.get(resource)) is not None and amounts != side.stored_amounts[resource]:
            (allocation, used), (due_allocation, due_used) = side.stored_amounts[resource], amounts
            yield (
                f"{resource} amounts of letters", describe(allocation=allocation, consumed=used),
                describe(allocation=due_allocation, consumed=due_used),
            )  # fmt: skip


def compare_contact(
    side: AccountSides, contact: Mapping[str, Any], levels: Mapping[str, int], *, is_contact: bool
) -> Iterator[tuple[str, str | None, str | None]]:
    name = f"contact {contact['contact_id']}"
    stored = told_of(contact)
    if contact["is_contact"] != is_contact:
        yield name, describe(is_contact=contact["is_contact"]), describe(is_contact=is_contact)
    for resource, level in sorted(levels.items()):
        told = stored.get(resource, {}).get("level", 0)
        if told != level:
            yield f"{resource} {name} told level", describe(level=told), describe(level=level)
    if contact["is_barred_by_nothing"]:
        yield f"{name} refused", describe(refused=True), describe(refused=False)
    if contact["unsent"] is None and is_due(side, contact, levels, is_contact=is_contact):
        owed = find_owed(side, levels, is_contact=is_contact)
        yield f"{name} letter", None, describe(**owed)


def find_owed(side: AccountSides, levels: Mapping[str, int], *, is_contact: bool) -> dict[str, int]:
    """The lines that a contact is owed, by resource."""
    if not side.is_open or not is_contact:
        return {}
    return {name: line for name, (_epoch, line) in side.due.items() if line > levels.get(name, 0)}


def is_due(side: AccountSides, contact: Mapping[str, Any], levels: Mapping[str, int], *, is_contact: bool) -> bool:
    """Whether a letter must be on its way: what is owed, unless the address was refused or its lines were given up."""
    stored = told_of(contact)
    owed = find_owed(side, levels, is_contact=is_contact)
    return not contact["refused"] and any(
        line > stored.get(resource, {}).get("given_up", 0) for resource, line in owed.items()
    )


def describe(**fields: object) -> str:
    return json.dumps(fields)
