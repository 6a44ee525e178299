"""Is a letter true at the dot? Worked out from what is on metering.balances, and nothing of the notifier's.

Right before its dot a letter says what the changes say up to where the notifier has read by then, and it has read at
least to the end that was asked when the letter was made. Whoever gets it is a contact of an account that is open then.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from schemas.topics import BALANCES
from tests.faults.oracle.books import EMAILS
from tests.simulation.mail import Arrival

if TYPE_CHECKING:
    from tests.simulation.play import World

Said = dict[str, tuple[int, int]]  # epoch and line by resource; without those below every line


class Standing:
    """What changes of metering.balances say of an account, in the order in which they stand there."""

    def __init__(self) -> None:
        self._ages: dict[str, int] = {}
        self.lines: Said = {}
        self.is_open = False
        self.contact_ids: list[str] = []

    def take(self, data: dict[str, object]) -> None:
        what = str(data.get("resource", ""))
        age = int(str(data["position"]))
        if age <= self._ages.get(what, 0):
            return
        self._ages[what] = age
        if what:
            self._take_balance(what, int(str(data["epoch"])), int(str(data["percent"] or 0)))
        else:
            self.is_open = data["state"] == "open"
            self.contact_ids = list(data["contact_ids"])  # type: ignore[call-overload]

    def _take_balance(self, resource: str, epoch: int, percent: int) -> None:
        self.lines.pop(resource, None)
        if epoch and (line := max((line for line in EMAILS if percent >= line), default=0)):
            self.lines[resource] = epoch, line


def check_dots(world: "World") -> Iterator[str]:
    """Of a restored database it is not asked: what it had read before is told again, and older."""
    arrivals = world.mail.arrived[: world.arrived_at_first_restore] if world.restores else world.mail.arrived
    for arrival in arrivals:
        if (finding := judge(world, arrival)) is not None:
            yield f"{finding}: {arrival.account_id} {arrival.recipient} {said_in(arrival)}"


def said_in(arrival: Arrival) -> Said:
    return {resource: (shown.epoch, shown.line) for resource, shown in arrival.lines.items()}


def judge(world: "World", arrival: Arrival) -> str | None:
    """What is wrong with it; None: nothing."""
    dot = arrival.dot
    if dot.read_to < dot.asked:
        return "letter made before its shard was read to the end"
    standings = list(stand(world, arrival.account_id, dot.shard, max(dot.asked, dot.read_from), dot.read_to))
    if not any(is_open for is_open, _contacts, _lines in standings):
        return "letter to a closed account"
    if not any(arrival.contact_id in contacts for _open, contacts, _lines in standings):
        return "letter to somebody who is no contact"
    if (True, True, said_in(arrival)) not in [
        (is_open, arrival.contact_id in contacts, lines) for is_open, contacts, lines in standings
    ]:
        return "letter that was not true at the dot"
    return None


def stand(world: "World", account: str, shard: int, first: int, last: int) -> Iterator[tuple[bool, list[str], Said]]:
    """How the account stands behind each of these offsets."""
    standing, key = Standing(), account.encode()
    for offset, record in enumerate(world.broker.logs[BALANCES, shard][:last]):
        if offset >= first:
            yield standing.is_open, standing.contact_ids, dict(standing.lines)
        if record.key == key:
            standing.take(json.loads(record.value or b"")["data"])
    yield standing.is_open, standing.contact_ids, dict(standing.lines)
