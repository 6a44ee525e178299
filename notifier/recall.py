"""What people were told and the database has forgotten, read back from Kafka after a restore: before anything is sent.

The ends of letters on metering.notifications say which contact was told which lines, in which epoch. A contact whom the
database does not know either is kept by the id, which follows from the event that named them: it comes again when that
event is read again. Only the ids of account.changed.v1 do not, and for these the event itself names the address.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from meter.runtime.errors import RefusalError, explain
from meter.runtime.kafka import HistoryLostError
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.postgres import Pool, load_sql, transpose, write_transaction
from meter.runtime.settings import Settings
from meter.topics import check_setting
from notifier.ids import contact_id
from notifier.letters import TOLD_BY, Ending
from schemas.build import Decoded, decode_event
from schemas.outputs import AccountChangedV1, EmailEnded
from schemas.reasons import InvalidEventError
from schemas.topics import BALANCES, NOTIFICATIONS, partition_for

log = structlog.get_logger(component="recall")
PACKAGE = "notifier"
NEWEST_RECORDS: Final = 200  # of each partition: what was lost last


class RecalledLine(NamedTuple):
    """One resource of one letter, as `notifier.recalled` has it."""

    shard: int
    account_id: str
    contact: str  # the address; the id as text where the address is not known
    contact_id: UUID
    resource: str
    epoch: int
    line: int
    email_id: UUID
    ended_at: datetime


Sent = Mapping[UUID, tuple[EmailEnded, datetime]]  # by the letter


async def recall(settings: Settings, pool: Pool) -> int:
    """Once for each generation; the number of lines that were read back. Raises TopicIdentityError where
    METERING_PARTITIONS is not the database's own: the lines would be kept in shards where nobody looks for them."""
    begun = [row["shard"] for row in await pool.fetch(load_sql(PACKAGE, "find_unrecalled"))]
    if not begun:
        return 0
    check_setting(await pool.fetchval(load_sql(PACKAGE, "count_cursors"), BALANCES), settings.partitions)
    sent = await find_forgotten(pool, await read_sent(settings))
    contacts = {data.contact_id for data, _ in sent.values()}
    rows = await pool.fetch(load_sql(PACKAGE, "find_addresses"), list(contacts))
    addresses = {row["contact_id"]: str(row["contact"]) for row in rows}
    if contacts - addresses.keys():
        addresses = await read_addresses(settings) | addresses
    lines = list(list_lines(sent, addresses, settings.partitions))
    unnamed = len(contacts - addresses.keys())
    async with pool.acquire() as connection, write_transaction(connection):
        locked = [await connection.fetch(load_sql(PACKAGE, "lock_unrecalled"), shard) for shard in begun]
        if any(locked):
            if lines:
                columns = transpose(lines, len(RecalledLine._fields))
                await connection.execute(load_sql(PACKAGE, "append_recalled"), *columns)
            await connection.execute(load_sql(PACKAGE, "tell_recalled"))
            presumed = [number for number, (data, _) in sent.items() if data.outcome == Ending.PRESUMED.value]
            await connection.execute(load_sql(PACKAGE, "end_recalled"), presumed)
            await connection.execute(load_sql(PACKAGE, "finish_recall"))
    log.warning("letters_recalled", emails=len(sent), lines=len(lines), unnamed_contacts=unnamed)
    return len(lines)


async def read_sent(settings: Settings, newest: int | None = None) -> Sent:
    """The letters that count as told, of as long as metering.notifications is kept, or of the newest records."""
    sent: dict[UUID, tuple[EmailEnded, datetime]] = {}
    async for records in read_topic(settings, NOTIFICATIONS, newest=newest):
        for event in decode(record.value for record in records):
            if isinstance(event.data, EmailEnded) and event.data.outcome in TOLD_BY:
                sent[event.data.email_id] = event.data, event.envelope.time
    return sent


async def check_told(settings: Settings, pool: Pool) -> None:
    """At the start: does a letter wait here whose end was published? Then that was lost, and it would be sent again.

    Raises HistoryLostError."""
    try:
        sent = await read_sent(settings, newest=NEWEST_RECORDS)
    except RefusalError as error:
        log.info("letters_not_compared", detail=explain(error))  # no such topic yet
        return
    waiting = await pool.fetch(load_sql(PACKAGE, "find_waiting"), list(sent))
    if waiting:
        raise HistoryLostError(
            f"the database went back in time: letters that were sent wait to be sent ({len(waiting):,}), "
            f"{waiting[0]['email_id']} first. It was restored, or another server took over that lacked the last "
            "commits. Nothing was sent. Stop meter, projections and notifier, and run `meter recover`."
        )


async def find_forgotten(pool: Pool, sent: Sent) -> Sent:
    """Those whose end the database does not know."""
    rows = await pool.fetch(load_sql(PACKAGE, "find_ended"), list(sent))
    known = {row["email_id"] for row in rows}
    return {number: told for number, told in sent.items() if number not in known}


async def read_addresses(settings: Settings) -> dict[UUID, str]:
    """Of the contacts that events of version 1 on metering.balances name, under the ids that they were given then."""
    addresses: dict[UUID, str] = {}
    async for records in read_topic(settings, BALANCES):
        for event in decode(record.value for record in records):
            if isinstance(event.data, AccountChangedV1):
                addresses |= name_contacts(event.data)
    return addresses


def name_contacts(data: AccountChangedV1) -> dict[UUID, str]:
    return {
        contact_id(data.account_id, data.shard, data.position, place): address
        for place, address in enumerate(data.contacts)
    }


def list_lines(sent: Sent, addresses: Mapping[UUID, str], partitions: int) -> Iterable[RecalledLine]:
    for number, (data, ended_at) in sent.items():
        who = data.contact_id
        contact = addresses.get(who, str(who))
        shard = partition_for(
            data.account_id.encode(), partitions
        )  # there may have been fewer when the letter was sent
        for told in data.lines:
            yield RecalledLine(
                shard, data.account_id, contact, who, told.resource.value, told.epoch, told.threshold, number,
                ended_at,
            )  # fmt: skip


def decode(values: Iterable[bytes | None]) -> Iterable[Decoded]:
    """What breaks its contract tells nothing."""
    for value in values:
        try:
            yield decode_event(value or b"")
        except InvalidEventError:
            continue
