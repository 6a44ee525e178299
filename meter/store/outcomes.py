"""What became of an event that a person sent, and what its account has now. Reads only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from meter.effects import AccountNow, BalanceNow, KeptAccount, KeptAmount, UsageNow
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool, load_sql, opened_pool
from meter.runtime.settings import Settings
from meter.store.rejections import RecordOutcome
from schemas.amounts import MICRO
from schemas.codes import TYPES_BY_CODE
from schemas.identity import identity_key, is_uuid, normalize_id
from schemas.records import Record, Rejected, Remark
from schemas.resources import RESOURCES_BY_CODE
from schemas.topics import ACCOUNTS, partition_for

if TYPE_CHECKING:
    from meter.runtime.kafka import Landed, Message


@asynccontextmanager
async def open_outcomes(settings: Settings) -> AsyncIterator[Outcomes]:
    """Here, apart from what sends: a verb that only looks does not load the Kafka client."""
    async with opened_pool(settings, "credit-verbs") as pool:
        yield Outcomes(pool)


class Sent(NamedTuple):
    """An event of metering.accounts, by what it is known."""

    account_id: str
    source: str
    event_id: str


class Place(NamedTuple):
    """Where the outcome of an event will stand: records of its account come at `first_offset` or later."""

    shard: int
    first_offset: int


class StoredEvent(NamedTuple):
    position: int
    recorded_at: datetime
    last_position: int  # of what was stored with it: an opening has its free allowance behind it
    type: int
    resource: int | None
    amount: int
    name: str  # a reason, or a plan
    occurred_at: datetime
    offset: int


class RejectedEvent(NamedTuple):
    rejection_id: int
    reason: str
    detail: str


class AccountLine(NamedTuple):
    """One line of a list."""

    account_id: str
    plan: str
    display_name: str | None
    opened_at: datetime


class UnopenedLine(NamedTuple):
    """What is kept of an account that nobody opened, in credits or runs; `contacts` is their number, None where nobody
    named any."""

    account_id: str
    plan: str | None
    display_name: str | None
    time_zone: str | None
    contacts: int | None
    credits_granted: Decimal
    credits_used: Decimal
    runs_granted: Decimal
    runs_used: Decimal
    since: date | None


class RemarkLine(NamedTuple):
    """A field that was left out of a stored event; `offset` is that of its record."""

    offset: int
    field: str
    reason: str
    recorded_at: datetime


class Outcomes:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def pool(self) -> Pool:
        return self._pool

    async def find_place(self, account_id: str) -> Place:
        """Where events of the account go from now on. Raises RefusalError when nothing is set up."""
        shards = await self._pool.fetchval(load_sql("meter", "count_shards"))
        if not shards:
            raise RefusalError("no shard is set up: run `meter setup` first")
        shard = partition_for(account_id.encode(), shards)
        [row] = await self._pool.fetch(load_sql("meter", "fetch_offsets"), [shard])
        return Place(shard, row["accounts_offset"])

    async def find_stored(self, place: Place, sent: Sent) -> StoredEvent | None:
        id = normalize_id(sent.event_id)
        key = identity_key(ACCOUNTS, sent.account_id, sent.source, id)
        old = UUID(id) if is_uuid(id) else None
        statement = load_sql("meter", "find_stored_event")
        row = await self._pool.fetchrow(statement, place.shard, key, old, sent.account_id, sent.source)
        return None if row is None else StoredEvent(*row)

    async def find_outcome(self, landed: Landed) -> RecordOutcome | None:
        """Of a record of metering.accounts; None until it is read, and where its partition belongs to no shard."""
        statement = load_sql("meter", "find_outcomes")
        row = await self._pool.fetchrow(statement, landed.partition, ACCOUNTS, [landed.offset])
        return None if row is None or row["outcome"] is None else RecordOutcome(*row)

    async def find_rejected(self, place: Place, account_id: str, value: bytes) -> RejectedEvent | None:
        """Of a record whose offset is not known, by its bytes."""
        statement = load_sql("meter", "find_rejected_event")
        row = await self._pool.fetchrow(
            statement, place.shard, ACCOUNTS, place.first_offset, account_id.encode(), value
        )
        return None if row is None else RejectedEvent(*row)

    async def find_opening(self, place: Place, account_id: str) -> int | None:
        """The position of the event that opened the account."""
        position: int | None = await self._pool.fetchval(load_sql("meter", "find_opening"), place.shard, account_id)
        return position

    async def find_remarks(self, place: Place, offset: int) -> list[Remark]:
        """Of one record of metering.accounts."""
        rows = await self._pool.fetch(load_sql("meter", "find_remarks"), place.shard, ACCOUNTS, offset)
        return [Remark(*row) for row in rows]

    async def foresee(self, message: Message, now: datetime) -> Rejected | None:
        """Why the meter would reject an event that keeps to the contract, by what is stored now."""
        # Only verbs that send ask, and they load the Kafka client anyway.
        from meter.event_producer import LIMITS
        from meter.store.foresee import foresee_rejections

        key = message.key.encode() if isinstance(message.key, str) else message.key
        record = Record(message.topic, 0, 0, int(now.timestamp() * 1000), key, message.value, list(message.headers))
        return (await foresee_rejections(self._pool, [record], now, LIMITS)).get(0)

    async def find_usage(self, account_id: str, event_id: str, source: str | None = None) -> list[UsageNow]:
        """Usage of the account that is stored under an id, by its source or by all."""
        place = await self.find_place(account_id)
        statement = load_sql("meter", "find_usage")
        rows = await self._pool.fetch(statement, place.shard, [account_id], [normalize_id(event_id)])
        return [
            UsageNow(
                row["source"],
                RESOURCES_BY_CODE[row["resource"]].value,
                TYPES_BY_CODE[row["type"]].split(".")[1],
                row["name"],
                row["occurred_at"],
                Decimal(row["amount"]) / MICRO,
                Decimal(row["unreversed"]) / MICRO,
            )
            for row in rows
            if source in (None, row["source"])
        ]

    async def find_folded_position(self, shard: int) -> int:
        """How far the balances of a shard have come; 0 before their first event."""
        return await self._pool.fetchval(load_sql("meter", "find_folded_position"), shard) or 0

    async def fetch_account(self, account_id: str) -> AccountNow | None:
        """None when nobody opened it, or when its opening is not folded yet."""
        row = await self._pool.fetchrow(load_sql("meter", "show_account"), account_id)
        if row is None:
            return None
        plan, name, opened_at, contacts, state, time_zone = row
        return AccountNow(plan, name, opened_at, tuple(json.loads(contacts)), state, time_zone)

    async def fetch_kept(self, account_id: str) -> KeptAccount | None:
        """None when it is opened, or nothing was said of it."""
        row = await self._pool.fetchrow(load_sql("meter", "show_kept"), account_id)
        if row is None:
            return None
        plan, name, time_zone, contacts = row
        return KeptAccount(plan, name, time_zone, None if contacts is None else tuple(json.loads(contacts)))

    async def fetch_kept_amounts(self, account_id: str) -> tuple[list[KeptAmount], int]:
        """Of an account that nobody opened: what came for each resource, and how many changes of the account."""
        shard = (await self.find_place(account_id)).shard
        rows = await self._pool.fetch(load_sql("meter", "show_kept_amounts"), shard, account_id)
        amounts = [
            KeptAmount(RESOURCES_BY_CODE[resource].value, granted / MICRO, used / MICRO, grants, uses)
            for resource, granted, used, grants, uses in rows
        ]
        return amounts, await self._pool.fetchval(load_sql("meter", "count_kept_changes"), shard, account_id)

    async def find_plans(self, plan: str, limit: int) -> tuple[bool, list[str]]:
        """Whether an account has it, and a few of those that accounts have."""
        [row] = await self._pool.fetch(load_sql("meter", "find_plans"), plan, limit)
        return row["is_known"], row["plans"]

    async def find_forgotten(self, account_id: str) -> datetime | None:
        """When addresses and names of the account were forgotten."""
        place = await self.find_place(account_id)
        at: datetime | None = await self._pool.fetchval(load_sql("meter", "find_forgotten"), place.shard, account_id)
        return at

    async def fetch_balances(self, account_id: str) -> list[BalanceNow]:
        rows = await self._pool.fetch(load_sql("meter", "show_balances"), account_id)
        return [BalanceNow(*row) for row in rows]

    async def find_accounts(self, text: str, limit: int) -> list[AccountLine]:
        rows = await self._pool.fetch(load_sql("meter", "find_accounts"), text, limit)
        return [AccountLine(*row) for row in rows]

    async def list_unopened(self, limit: int) -> list[UnopenedLine]:
        """Those with the newest event first."""
        return [UnopenedLine(*row) for row in await self._pool.fetch(load_sql("meter", "list_unopened"), limit)]

    async def list_remarks(self, account_id: str, limit: int) -> list[RemarkLine]:
        """Newest first."""
        place = await self.find_place(account_id)
        rows = await self._pool.fetch(load_sql("meter", "list_remarks"), place.shard, account_id, limit)
        return [RemarkLine(*row) for row in rows]
