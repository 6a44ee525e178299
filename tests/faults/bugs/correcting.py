"""Bugs of corrections: what was taken back before is forgotten."""

from typing import Any

from meter.corrections import Move, NamedUsage
from meter.store import corrections
from tests.faults.bugs.bug import Bug, replace
from tests.faults.schedule import Focus
from tests.faults.world import Shares


def reversed_twice() -> None:
    """Each reversal is judged as if it were the first of its usage."""
    fetch_usage = corrections.fetch_usage

    async def fetch_unreversed(connection: Any, plan: Any) -> dict[tuple[str, str], list[NamedUsage]]:
        found = await fetch_usage(connection, plan)
        return {name: [usage._replace(left=usage.amount) for usage in usages] for name, usages in found.items()}

    replace(corrections, "fetch_usage", fetch_unreversed)


def revoked_without_bound() -> None:
    """A revocation is held to what the grant gave, and not to what is left of it."""
    fetch_moves = corrections.fetch_moves

    async def fetch_grants(connection: Any, plan: Any) -> dict[str, list[Move]]:
        found = await fetch_moves(connection, plan)
        return {account: [move for move in moves if move.is_grant] for account, moves in found.items()}

    replace(corrections, "fetch_moves", fetch_grants)


BUGS = (
    Bug(
        name="reversed_twice",
        service="meter",
        says="usage is reversed again after it was reversed",
        switch_on=reversed_twice,
        signs=frozenset({"more reversed than the event was"}),
        focus=Focus({"kill": 1}, services=("meter",)),
        mean_pause_s=4.0,
        shares=Shares(reversals=0.05),
    ),
    Bug(
        name="revoked_without_bound",
        service="meter",
        says="more is revoked than is left of the grant",
        switch_on=revoked_without_bound,
        signs=frozenset({"more revoked than the grant was"}),
        focus=Focus({"kill": 1}, services=("meter",)),
        mean_pause_s=4.0,
        shares=Shares(grants=0.01, revocations=0.04),
    ),
)
