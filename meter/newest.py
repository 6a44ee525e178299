"""At the start: do the newest events on metering.balances go beyond the log? Then the database went back in time."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from meter.runtime.errors import RefusalError, explain
from meter.runtime.kafka import HistoryLostError
from meter.runtime.kafka.asking import HINT
from meter.runtime.kafka.patience import Patience
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.log import get_logger
from meter.runtime.postgres import Pool, load_sql
from meter.runtime.process.health import Health
from meter.runtime.settings import Settings
from meter.runtime.waiting import wait_for
from schemas.build import decode_event
from schemas.outputs import AccountChanged, AccountChangedV1, BalanceChanged
from schemas.reasons import InvalidEventError
from schemas.topics import BALANCES

log = get_logger("history")
# Of each partition. After a republication the last ones are about accounts that have not changed for long: then the
# committed offsets have to tell.
NEWEST_RECORDS: Final = 200
EVERY_S: Final = 10.0

Age = tuple[int, int]  # generation and position
OLDEST: Final = (1, 0)  # before the first event
# The records' times do not tell these apart: hosts' clocks differ, and what is lost are mostly the last seconds.
LATE: Final = (
    "its newest records are beyond the log of the start and not beyond that of now: either they were published since, "
    "or the database went back in time before the start and was written on. `meter verify` compares the log with its "
    "anchors"
)


class NewestWatch:
    """Compares at the start, and later those that did not answer then.

    Meanwhile their shards are written: a log that went back may have passed the newest record by then. So a later look
    finds a loss, or proves that there was none, or says that nobody can tell.
    """

    name = "newest"

    def __init__(self, settings: Settings, pool: Pool, health: Health, *, every_s: float = EVERY_S) -> None:
        self._settings = settings
        self._pool = pool
        self._health = health
        self._every_s = every_s
        self._silent: dict[int, str] = {}
        self._at_start: dict[int, Age] | None = None  # where the log of those that were silent ended; None: no look yet
        self._patience = Patience(self.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not await wait_for(stop, self._every_s):
            if self._silent:
                with self._patience.bearing():
                    await self.check()

    async def check(self) -> None:
        """Raises HistoryLostError, and DependencyUnreachableError while no partition answers."""
        newest: dict[int, Age] = {}
        silent: dict[int, str] = {}
        try:
            async for records in read_topic(self._settings, BALANCES, newest=NEWEST_RECORDS, silent=silent):
                note_ages(newest, (record.value for record in records))
        except RefusalError as error:
            log.info("history_not_compared", detail=explain(error))  # no such topic yet
            return
        ends = await self._fetch_ends({*newest, *silent})
        if lost := find_lost(newest, ends):
            raise HistoryLostError(explain_lost(lost, is_start=self._at_start is None))
        if self._at_start is None:
            self._at_start = {number: end for number, end in ends.items() if number in silent}
        else:  # one that was compared may be silent now
            silent = {number: reason for number, reason in silent.items() if number in self._silent}
        self._tell(silent, newest, self._at_start)

    def _tell(self, silent: dict[int, str], newest: Mapping[int, Age], at_start: Mapping[int, Age]) -> None:
        """Faults of partitions that could not be compared."""
        for number in self._silent.keys() - silent.keys():
            if number in at_start and newest.get(number, OLDEST) > at_start[number]:
                log.warning("partition_compared_late", topic=BALANCES, partition=number, detail=LATE)
            else:
                log.info("partition_compared", topic=BALANCES, partition=number)
            self._health.set_fault(name_part(number), None)
        for number, reason in silent.items():
            if number not in self._silent:
                log.warning("partition_not_compared", topic=BALANCES, partition=number, detail=reason)
            self._health.set_fault(
                name_part(number), f"{BALANCES}[{number}] was not compared with the log at the start: {reason}. {HINT}"
            )
        self._silent = silent

    async def _fetch_ends(self, shards: Collection[int]) -> dict[int, Age]:
        rows = await self._pool.fetch(load_sql("meter", "fetch_ages"), list(shards))
        return {row["shard"]: (row["generation"], row["position"]) for row in rows}


def find_lost(newest: Mapping[int, Age], ends: Mapping[int, Age]) -> list[tuple[int, Age, Age]]:
    """Shard, newest record and end of the log, of each whose log ends before."""
    return sorted((shard, age, ends[shard]) for shard, age in newest.items() if shard in ends and age > ends[shard])


def name_part(number: int) -> str:
    return f"newest of {BALANCES} {number}"


def note_ages(newest: dict[int, Age], values: Iterable[bytes | None]) -> None:
    for value in values:
        try:
            data = decode_event(value or b"").data
        except InvalidEventError:
            continue
        if isinstance(data, BalanceChanged | AccountChanged | AccountChangedV1):
            newest[data.shard] = max((data.generation, data.position), newest.get(data.shard, OLDEST))


def explain_lost(lost: Iterable[tuple[int, Age, Age]], *, is_start: bool) -> str:
    details = "; ".join(
        f"of shard {shard} metering.balances has generation {known[0]}, position {known[1]}, and the log ends at "
        f"generation {stored[0]}, position {stored[1]}"
        for shard, known, stored in lost
    )
    written = "This process has written nothing." if is_start else "Services have written since they started."
    return (
        f"the database went back in time: {details}. It was restored, or another server took over that lacked the last "
        f"commits. {written} Stop meter, projections and notifier, and run `meter recover`."
    )
