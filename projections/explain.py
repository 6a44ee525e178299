"""`projections explain`: an account's whole story in one snapshot. Reads only; the service may run.

The log has no index by account on purpose, because every insert would pay for it. So explain reads the account's whole
shard up to the folded position, range by range; of each range the database returns only the account's events.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from meter.progress import Advance
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool
from projections.reader import Account, Balance, as_balances
from projections.store import PROJECTION, fetch_balances, sql
from projections.timeline import FieldDifference, Timeline, compare
from projections.timeline_lines import Entry, read_note
from schemas.figures import count_of
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import partition_for

RANGE_EVENTS: Final = 100_000
STATEMENT_TIMEOUT_S: Final = 24 * 3600
SUPPORT: Final = "credit_support"

Row = Mapping[str, Any]


class ShardProgress(NamedTuple):
    """How far an account's shard is folded (`position`), and the position of the last event stored in it (`head`)."""

    shard: int
    position: int
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierRecords:
    """What the notifier recorded for an account, the newest first. `lines`: who knows of each line of emails that was
    reached in the present epoch. Lines and emails hold addresses."""

    banners: Sequence[Row]
    notices: Sequence[Row]
    lines: Sequence[Row]
    emails: Sequence[Row]
    attempts: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`notifications` is None where the role may not read the notifier's tables. `differences`: fields of stored
    balances that the log does not explain. `remarks`: what was left out of the account's events, the newest first."""

    account_id: str
    progress: ShardProgress
    account: Account | None
    timeline: Timeline
    balances: Mapping[Resource, Balance]
    notifications: NotifierRecords | None
    differences: Sequence[FieldDifference] = field(default=())
    remarks: Sequence[Row] = field(default=())


async def find_progress(connection: Executor, account_id: str) -> ShardProgress:
    """The shard by the account's key, as producers choose it."""
    rows = await connection.fetch(sql("measure_shards"), PROJECTION)
    if not rows:
        raise RefusalError("there are no shards: run `meter setup`")
    shard = partition_for(account_id.encode(), len(rows))
    return next(ShardProgress(*row) for row in rows if row["shard"] == shard)


async def check_rights(connection: Executor) -> bool:
    """Whether the notifier's tables may be read. Raises RefusalError when the log may not."""
    [(log, notices)] = await connection.fetch(sql("check_rights"))
    if log is False:
        raise RefusalError(f"the role of METERING_POSTGRES_DSN may not read the event log: use {SUPPORT} there")
    return notices is True


@contextmanager
def watch_nothing(events: int) -> Iterator[Advance]:
    yield lambda events: None


class Explainer:
    """Shows where the balance reached each of `thresholds` (percents), and each threshold that it has a notice of.

    `watch` receives the number of events to read; the function it yields is called with the size of each range read.
    """

    def __init__(
        self,
        account_id: str,
        *,
        thresholds: Collection[int],
        resource: Resource | None = None,
        limit: int,
        watch: Callable[[int], AbstractContextManager[Advance]] = watch_nothing,
        range_events: int = RANGE_EVENTS,
    ) -> None:
        self._account_id = account_id
        self._thresholds = thresholds
        self._resource = resource
        self._limit = limit
        self._watch = watch
        self._range_events = range_events

    async def explain(self, pool: Pool) -> Explanation:
        """Raises RefusalError when nothing is known of the account, or the role may not read the log."""
        async with (
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(sql("prepare_long_read"))
            may_read_notices = await check_rights(connection)
            progress = await find_progress(connection, self._account_id)
            timeline = await self._read_timeline(connection, progress, noticed=may_read_notices)
            row = await connection.fetchrow(sql("read_account"), self._account_id, progress.shard)
            balances = self._choose(
                as_balances(await connection.fetch(sql("read_all_balances"), self._account_id, progress.shard))
            )
            if not (timeline.events or row or balances):
                raise RefusalError(describe_unknown(self._account_id, progress))
            return Explanation(
                account_id=self._account_id,
                progress=progress,
                account=None if row is None else Account(**dict(row)),
                timeline=timeline,
                balances=balances,
                notifications=await self._fetch_notifications(connection, progress.shard) if may_read_notices else None,
                differences=await self._compare(connection, timeline),
                remarks=await fetch_rows(connection, "fetch_remarks", progress.shard, self._account_id, self._limit),
            )

    async def _read_timeline(self, connection: Executor, progress: ShardProgress, *, noticed: bool) -> Timeline:
        thresholds = set(self._thresholds)
        if noticed:
            rows = await connection.fetch(sql("fetch_thresholds"), self._account_id)
            thresholds |= {row["threshold"] for row in rows}
        timeline = Timeline(self._account_id, progress.shard, sorted(thresholds), limit=self._limit)
        with self._watch(progress.position) as advance:
            async for read, entries in self._read_entries(connection, progress):
                timeline.enter(entries)
                advance(read)
        timeline.close()
        return timeline

    async def _read_entries(
        self, connection: Executor, progress: ShardProgress
    ) -> AsyncIterator[tuple[int, list[Entry]]]:
        """For each range: the number of events in it, and the events of the account."""
        code = None if self._resource is None else RESOURCE_CODES[self._resource]
        for after in range(0, progress.position, self._range_events):
            upto = min(progress.position, after + self._range_events)
            rows = await connection.fetch(
                sql("fetch_account_log"),
                progress.shard,
                after,
                upto,
                self._account_id,
                code,
                timeout=STATEMENT_TIMEOUT_S,
            )
            yield upto - after, [read_entry(row) for row in rows]

    async def _compare(self, connection: Executor, timeline: Timeline) -> list[FieldDifference]:
        stored = await fetch_balances(connection, [self._account_id], [timeline.shard])
        differences: list[FieldDifference] = []
        for resource in self._choose(RESOURCE_CODES):
            code = RESOURCE_CODES[resource]
            computed = timeline.resources[code].state if code in timeline.resources else None
            differences += compare(stored.get((self._account_id, code)), computed, code)
        return differences

    async def _fetch_notifications(self, connection: Executor, shard: int) -> NotifierRecords:
        chosen = (self._account_id, None if self._resource is None else self._resource.value)
        emails = await fetch_rows(connection, "fetch_emails", *chosen, self._limit)
        return NotifierRecords(
            banners=await fetch_rows(connection, "fetch_shown_banners", *chosen),
            notices=await fetch_rows(connection, "fetch_notices", *chosen, self._limit),
            lines=await fetch_rows(connection, "fetch_line_states", *chosen, self._limit, shard),
            emails=emails,
            attempts=await fetch_rows(connection, "fetch_attempts", [row["email_id"] for row in emails], self._limit),
        )

    def _choose(self, by_resource: Mapping[Resource, Any]) -> dict[Resource, Any]:
        return {key: value for key, value in by_resource.items() if self._resource in (None, key)}


def read_entry(row: Iterable[Any]) -> Entry:
    """The event of a row of `fetch_account_log`."""
    position, event_id, type, resource, amount, name, data, recorded_at, derived = row
    note = None if data is None else read_note(type, data)
    return Entry(position, event_id, type, resource, amount, name, note, recorded_at, derived)


async def fetch_rows(connection: Executor, name: str, *arguments: object) -> list[Row]:
    return [dict(row) for row in await connection.fetch(sql(name), *arguments)]


def describe_unknown(account_id: str, progress: ShardProgress) -> str:
    waiting = progress.head - progress.position
    unfolded = count_of(waiting, "event")
    more = f" (stored and not folded yet: {unfolded} of its shard {progress.shard})" if waiting else ""
    return f"nothing is known of account {account_id}{more}"
