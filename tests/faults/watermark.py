"""How long the way from the broker to the notices needs after a fault.

At the end of a fault it is noted what was acknowledged by then. The fault has been recovered from when all of that is
stored, folded, published and read by the notifier. Further faults meanwhile count against it: the figure is an upper
bound.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from tests.faults.truth import ACCOUNTS, USAGE

POLL_S = 0.2
PATIENCE_S = 5
SQL = (Path(__file__).parent / "sql" / "read_progress.sql").read_text(encoding="utf-8")

# What a database that is killed every now and then answers with.
DOWN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

Ends = Mapping[int, int]  # by shard


@dataclass
class Ticket:
    """What must come through until one fault is over."""

    ended: float  # monotonic
    acked: dict[tuple[str, int], int]
    kind: str = ""  # of the fault
    stage: int = 0
    passed_s: list[float] = field(default_factory=list)  # since the end of the fault, by stage
    target: dict[int, int] = field(default_factory=dict)


class Watermarks:
    """Polls the database directly, not through the proxies. `read_ends` tells the end offsets of the balances."""

    def __init__(self, dsn: str, read_ends: Callable[[], Ends], read_acked: Callable[[], dict[tuple[str, int], int]]):
        self._dsn = dsn
        self._read_ends = read_ends
        self._read_acked = read_acked
        self._tickets: list[Ticket] = []
        self._recovered: list[Ticket] = []
        self.rows: list[Any] = []
        self.mattered: Counter[str] = Counter()  # faults by kind that struck while there was work

    def note_fault(self, kind: str, target: str) -> None:
        """A fault of this kind has ended; it mattered where its target had something to do at the last look."""
        self._tickets.append(Ticket(time.monotonic(), self._read_acked(), kind))
        self.mattered[kind] += self.has_work(target)

    def has_work(self, target: str) -> bool:
        """Of a service or the mail server; of anybody for the other servers. True where nothing could be looked at."""
        work = {
            "meter": self.lag() > 0,
            "projections": any(
                row["last_position"] > row["folded"] or row["first_waiting"] is not None for row in self.rows
            ),
            "notifier": self.waiting_emails > 0 or any(row["notifications"] > 0 for row in self.rows),
            "smtp": self.waiting_emails > 0,
        }
        return not self.rows or (work[target] if target in work else any(work.values()))

    @property
    def open(self) -> int:
        """Faults not recovered from yet."""
        return len(self._tickets)

    @property
    def recoveries_s(self) -> list[float]:
        return [ticket.passed_s[-1] for ticket in self._recovered]

    def recoveries_of(self, kind: str) -> list[float]:
        return [ticket.passed_s[-1] for ticket in self._recovered if ticket.kind == kind]

    def slowest(self, count: int = 3) -> list[str]:
        """The longest recoveries, with the time each stage was reached."""
        ordered = sorted(self._recovered, key=lambda ticket: ticket.passed_s[-1], reverse=True)
        return [
            ", ".join(f"{stage} {passed:.1f} s" for stage, passed in zip(STAGES, ticket.passed_s, strict=True))
            for ticket in ordered[:count]
        ]

    @property
    def waiting_emails(self) -> int:
        return int(self.rows[0]["emails"]) if self.rows else 0

    def lag(self) -> int:
        """Acknowledged records that are not stored yet."""
        acked = self._read_acked()
        stored = sum(row["usage_offset"] + row["accounts_offset"] for row in self.rows)
        return int(max(0, sum(acked.values()) - stored))

    async def run(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=PATIENCE_S, command_timeout=PATIENCE_S)
            except DOWN:
                await asyncio.sleep(POLL_S)
                continue
            try:
                await self._poll(connection)
            except DOWN:
                pass
            finally:
                connection.terminate()

    async def _poll(self, connection: asyncpg.Connection) -> None:
        while True:
            self.rows = await connection.fetch(SQL)
            if self._tickets:
                await self._advance()
            await asyncio.sleep(POLL_S)

    async def _advance(self) -> None:
        ends: Ends | None = None
        now = time.monotonic()
        for ticket in list(self._tickets):
            while self._has_passed(ticket):
                ticket.stage += 1
                ticket.passed_s.append(now - ticket.ended)
                if ticket.stage == len(STAGES):
                    self._tickets.remove(ticket)
                    self._recovered.append(ticket)
                    break
                if STAGES[ticket.stage] == "noticed":
                    ends = ends or await asyncio.to_thread(self._read_ends)
                    if not ends:
                        ticket.stage -= 1  # the broker does not answer: ask again
                        ticket.passed_s.pop()
                        break
                    ticket.target = dict(ends)
                else:
                    ticket.target = {row["shard"]: row[TARGETS[STAGES[ticket.stage]]] or 0 for row in self.rows}

    def _has_passed(self, ticket: Ticket) -> bool:
        stage = STAGES[ticket.stage]
        if stage == "stored":
            return all(
                row["usage_offset"] >= ticket.acked.get((USAGE, row["shard"]), 0)
                and row["accounts_offset"] >= ticket.acked.get((ACCOUNTS, row["shard"]), 0)
                for row in self.rows
            )
        if stage == "published":
            return all(
                row["first_waiting"] is None or row["first_waiting"] > ticket.target.get(row["shard"], 0)
                for row in self.rows
            )
        return all(row[stage] >= ticket.target.get(row["shard"], 0) for row in self.rows)


STAGES = ("stored", "folded", "published", "noticed")
TARGETS = {"folded": "last_position", "published": "last_waiting"}


def percentile(values: list[float], share: float) -> float:
    """0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
