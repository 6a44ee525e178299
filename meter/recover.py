"""`meter recover`: a new generation of the log, where the database went back in time.

What is outside the database and newer shows what was lost: Kafka's committed offsets, the anchors, and the newest
events on metering.balances. The cut is recorded in the chain of every shard; projections then send the present state of
every account, and the notifier reads back what people were told before it sends anything.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from meter.runtime.clock import Clock
from meter.runtime.errors import RefusalError
from meter.runtime.kafka.groups import count_members, fetch_committed, set_committed
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.postgres import Executor, Pool, load_sql, write_transaction
from meter.runtime.settings import Settings
from meter.store.layout import CHAIN_VERSION, BatchHeader, chain_hash
from meter.store.topics import PostgresTopicStore
from meter.topics import check_setting
from schemas.build import decode_event
from schemas.outputs import AccountChanged, AccountChangedV1, BalanceChanged, EmailEnded, ForgottenListed, LogAnchored
from schemas.reasons import InvalidEventError
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, NOTIFICATIONS, USAGE, partition_for

METER, NOTIFIER = "meter", "notifier"
TOLD_BY = frozenset({"accepted", "presumed"})  # ends of a letter after which its reader is told nothing again
GROUPS = {METER: (USAGE, ACCOUNTS), NOTIFIER: (BALANCES,)}


class Place(NamedTuple):
    """Where a shard stands in the database."""

    shard: int
    generation: int
    position: int
    batch: int
    usage: int
    accounts: int
    head: bytes
    notifier: int | None  # None of a partition that no shard has, because a topic was grown: no account is in it

    @property
    def offsets(self) -> dict[str, int]:
        inputs = {USAGE: self.usage, ACCOUNTS: self.accounts}
        return inputs if self.notifier is None else {**inputs, BALANCES: self.notifier}


@dataclass(slots=True)
class Outside:
    """What is known outside the database: offsets by topic and shard, and by shard what events and anchors say."""

    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    generations: dict[int, int] = field(default_factory=dict)
    positions: dict[tuple[int, int], int] = field(default_factory=dict)  # by shard and generation
    batches: dict[tuple[int, int], int] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)  # accounts
    told: set[UUID] = field(default_factory=set)  # letters that count as told

    def note_event(self, data: BalanceChanged | AccountChanged | AccountChangedV1 | LogAnchored) -> None:
        place = data.shard, data.generation
        self.generations[data.shard] = max(data.generation, self.generations.get(data.shard, 1))
        self.positions[place] = max(data.position, self.positions.get(place, 0))
        if isinstance(data, LogAnchored):
            self.batches[place] = max(data.batch, self.batches.get(place, 0))

    def position_of(self, place: Place) -> int:
        return self.positions.get((place.shard, place.generation), 0)

    def find_proofs(self, place: Place) -> list[str]:
        """Why the shard must have gone back, in words."""
        proofs = [
            f"{topic}[{place.shard}] was stored up to {known}, and is wanted from {stored} on"
            for topic, stored in place.offsets.items()
            if (known := self.committed.get((topic, place.shard), 0)) > stored
        ]
        if (position := self.position_of(place)) > place.position:
            proofs.append(f"shard {place.shard} had reached position {position}, and stands at {place.position}")
        if (batch := self.batches.get((place.shard, place.generation), 0)) > place.batch:
            proofs.append(f"shard {place.shard} had reached batch {batch}, and stands at {place.batch}")
        if (generation := self.generations.get(place.shard, 1)) > place.generation:
            proofs.append(f"shard {place.shard} was in generation {generation}, and is in {place.generation}")
        return proofs


class Begun(NamedTuple):
    """A shard in its new generation: from which position, and how many positions are known to be lost."""

    shard: int
    generation: int
    from_position: int
    batch: int
    lost_positions: int


Say = Callable[[str], None]


async def recover(
    settings: Settings,
    pool: Pool,
    clock: Clock,
    *,
    by: str,
    reason: str,
    force: bool = False,
    say: Say = lambda _line: None,
) -> list[Begun]:
    """Begin a new generation of all shards, where anything proves that the database went back; else nothing.

    Who is on the list of the forgotten is forgotten first. Raises RefusalError while a service runs, and where
    METERING_PARTITIONS is not the database's own. A repeat after an interruption finds what is left to do.
    """
    shards = await count_shards(pool)
    check_setting(shards, settings.partitions)
    await check_stopped(settings, pool)
    outside = await look_outside(settings)
    await accept_grown(pool, outside, shards)
    places = await fetch_places(pool)
    for account_id in await forget_listed(pool, outside.forgotten, shards, clock):
        say(f"{account_id} was forgotten: its addresses and names are forgotten here as well")
    proofs = [proof for place in places for proof in outside.find_proofs(place)]
    proofs += await find_untold(pool, outside)
    for proof in proofs:
        say(proof)
    begun = []
    if proofs or force:
        begun = await begin_generation(pool, places, outside, clock, by=by, reason=reason)
        await reset_groups(settings, places, outside)
    return begun


async def accept_grown(pool: Pool, outside: Outside, shards: int) -> None:
    """Partitions that were read and that the backup does not know, because it is older than they are: they went back as
    well, and are read again from their beginning. After a split they hold what was sent since."""
    read = [at for (topic, at), offset in outside.committed.items() if topic in GROUPS[METER] and offset > 0]
    await PostgresTopicStore(pool).accept_grown(shards, 1 + max(read, default=-1))


async def find_untold(pool: Pool, outside: Outside) -> list[str]:
    """The end of a letter is published after it is committed: a letter that was sent and waits here proves that it was
    lost, also where nothing else was."""
    count = await pool.fetchval(load_sql("meter", "count_untold"), list(outside.told))
    return [f"letters were sent, and the database has {count:,} of them as waiting or not at all"] if count else []


async def count_shards(pool: Pool) -> int:
    """As the database has them, whatever METERING_PARTITIONS says. Raises RefusalError where nothing is set up."""
    shards: int = await pool.fetchval(load_sql("meter", "count_shards"))
    if not shards:
        raise RefusalError("no shard is set up: run `meter setup` first")
    return shards


async def forget_listed(pool: Pool, listed: Collection[str], shards: int, clock: Clock) -> list[str]:
    """Throw away the keys that a restored backup brought back, of which accounts. The services then blank the rest.

    `shards` are as many as the database has: the accounts are in them.
    """
    accounts = sorted(listed)
    # Not the shard on the list: there may have been fewer then.
    places = [partition_for(account.encode(), shards) for account in accounts]
    rows = await pool.fetch(load_sql("meter", "forget_listed"), clock.now(), places, accounts)
    return sorted(row["account_id"] for row in rows)


async def fetch_places(database: Pool | Executor) -> list[Place]:
    return [Place(*row) for row in await database.fetch(load_sql("meter", "fetch_places"), BALANCES)]


async def check_stopped(settings: Settings, pool: Pool) -> None:
    running = [row["application_name"] for row in await pool.fetch(load_sql("meter", "find_running"))]
    running += [f"group credit-{group}" for group in GROUPS if await count_members(settings, group)]
    if running:
        raise RefusalError(
            f"stop all services first; there are: {', '.join(running)}. A process that died belongs to its group for "
            f"up to {settings.kafka_session_ms / 1000:.0f} s more (METERING_KAFKA_SESSION_MS)."
        )


async def look_outside(settings: Settings) -> Outside:
    outside = Outside()
    for group, topics in GROUPS.items():
        outside.committed.update(await fetch_committed(settings, group, topics))
    for topic in (ANCHORS, BALANCES, NOTIFICATIONS):
        async for records in read_topic(settings, topic):
            for record in records:
                note_record(outside, record.value)
    return outside


def note_record(outside: Outside, value: bytes | None) -> None:
    """What breaks its contract proves nothing."""
    try:
        data = decode_event(value or b"").data
    except InvalidEventError:
        return
    if isinstance(data, EmailEnded) and data.outcome in TOLD_BY and data.lines:
        outside.told.add(data.email_id)
    if isinstance(data, ForgottenListed):
        outside.forgotten.add(data.account_id)
    if isinstance(data, BalanceChanged | AccountChanged | AccountChangedV1 | LogAnchored):
        outside.note_event(data)


async def begin_generation(
    pool: Pool, places: list[Place], outside: Outside, clock: Clock, *, by: str, reason: str
) -> list[Begun]:
    """All shards in one transaction, with what the other services are to do: there is no half of it."""
    async with pool.acquire() as connection, write_transaction(connection):
        return await write_generation(connection, places, outside, clock.now(), by=by, reason=reason)


async def write_generation(
    connection: Executor,
    places: Sequence[Place],
    outside: Outside,
    now: datetime,
    *,
    by: str,
    reason: str,
    moved: Mapping[int, bytes] = MappingProxyType({}),
) -> list[Begun]:
    """`moved` has by shard the digest of where its accounts come from, where it begins with those of another one."""
    number = 1 + max([*outside.generations.values(), *(place.generation for place in places)])
    begun = []
    for place in places:
        header = await record_generation(connection, place, number, outside, BatchHeader(
            place.shard, place.batch + 1, place.position + 1, place.position, place.usage, place.usage,
            place.accounts, place.accounts, 0, 0, 0, 0, now, b"", number,
        ), by, reason)  # fmt: skip
        header = header._replace(evidence=header.evidence + moved.get(place.shard, b""))
        sealed = chain_hash(place.head, header, b"")
        await connection.execute(load_sql("meter", "seal_batch"), *header, CHAIN_VERSION, place.head, sealed)
        begins = place.position + 1
        if place.notifier is not None:
            await connection.execute(load_sql("meter", "begin_notifier_generation"), place.shard, number, begins)
        lost = max(0, outside.position_of(place) - place.position)
        begun.append(Begun(place.shard, number, begins, header.batch, lost))
    await connection.execute(load_sql("meter", "request_republication"))
    return begun


async def record_generation(
    connection: Executor, place: Place, number: int, outside: Outside, header: BatchHeader, by: str, reason: str
) -> BatchHeader:
    """The header with the digest of the record. Raises RefusalError when the shard moved meanwhile."""
    usage, accounts = (outside.committed.get((topic, place.shard), 0) for topic in (USAGE, ACCOUNTS))
    known = usage, accounts, outside.position_of(place)
    parameters = (place.shard, place.generation, number, *known, header.recorded_at, by, reason, place.head, None)
    row = await connection.fetchrow(load_sql("meter", "begin_generation"), *parameters)
    if row is None:
        raise RefusalError(f"shard {place.shard} moved meanwhile: stop all services, and call it again")
    return header._replace(evidence=row["digest"])


async def reset_groups(settings: Settings, places: list[Place], outside: Outside) -> None:
    """Kafka's offsets become those of the database, or each service would refuse to go on. A partition that was neither
    read nor committed may not be there: one of two topics was grown."""
    for group, topics in GROUPS.items():
        offsets: Mapping[tuple[str, int], int] = {
            (topic, place.shard): offset
            for place in places
            for topic, offset in place.offsets.items()
            if topic in topics and (offset or (topic, place.shard) in outside.committed)
        }
        await set_committed(settings, group, offsets)
