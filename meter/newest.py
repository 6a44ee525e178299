"""At the start: do the newest events on metering.balances go beyond the log? Then the database went back in time."""

from collections.abc import Iterable
from typing import Final

from meter.runtime.errors import RefusalError, explain
from meter.runtime.kafka import HistoryLostError
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.log import get_logger
from meter.runtime.postgres import Pool, load_sql
from meter.runtime.settings import Settings
from schemas.build import decode_event
from schemas.outputs import AccountChanged, AccountChangedV1, BalanceChanged
from schemas.reasons import InvalidEventError
from schemas.topics import BALANCES

log = get_logger("history")
# Of each partition. After a republication the last ones are about accounts that have not changed for long: then the
# committed offsets have to tell.
NEWEST_RECORDS: Final = 200

Age = tuple[int, int]  # generation and position


async def check_newest(settings: Settings, pool: Pool) -> None:
    """Raises HistoryLostError."""
    newest: dict[int, Age] = {}
    try:
        async for records in read_topic(settings, BALANCES, newest=NEWEST_RECORDS):
            note_ages(newest, (record.value for record in records))
    except RefusalError as error:
        log.info("history_not_compared", detail=explain(error))  # no such topic yet
        return
    rows = await pool.fetch(load_sql("meter", "fetch_ages"), list(newest))
    behind = {row["shard"]: (row["generation"], row["position"]) for row in rows}
    lost = sorted(
        (shard, age, behind[shard]) for shard, age in newest.items() if shard in behind and age > behind[shard]
    )
    if lost:
        raise HistoryLostError(explain_lost(lost))


def note_ages(newest: dict[int, Age], values: Iterable[bytes | None]) -> None:
    for value in values:
        try:
            data = decode_event(value or b"").data
        except InvalidEventError:
            continue
        if isinstance(data, BalanceChanged | AccountChanged | AccountChangedV1):
            newest[data.shard] = max((data.generation, data.position), newest.get(data.shard, (1, 0)))


def explain_lost(lost: Iterable[tuple[int, Age, Age]]) -> str:
    details = "; ".join(
        f"of shard {shard} metering.balances has generation {known[0]}, position {known[1]}, and the log ends at "
        f"generation {stored[0]}, position {stored[1]}"
        for shard, known, stored in lost
    )
    return (
        f"the database went back in time: {details}. It was restored, or another server took over that lacked the last "
        "commits. Nothing was written. Stop meter, projections and notifier, and run `meter recover`."
    )
