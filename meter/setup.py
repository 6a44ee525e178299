"""`meter setup`: migrations, shards, roles, topics. Idempotent: every step looks at what is there first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from meter.collation import Collation, explain_changed, explain_may_change
from meter.distribute import check_distribution, distribute
from meter.roles import OWNER, ROLES, ReaderLimits, grant, is_prepared, prepare, set_password
from meter.runtime.clock import Clock
from meter.runtime.errors import RefusalError
from meter.runtime.kafka import TopicAdmin, TopicInfo
from meter.runtime.postgres import Executor, Pool, is_on_citus, load_sql, opened_pool
from meter.runtime.postgres.migrations import Report, as_who_signed_in, find_missing, migrate, report_nothing
from meter.settings import SetupSettings
from meter.store.topics import PostgresTopicStore
from meter.topics import OF_INPUTS, RecordedTopics
from schemas.figures import count_of
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, TOPICS, USAGE, TopicSpec

PROGRESS_S = 5.0
KEPT = "kept"
PACKAGES = ("meter", "projections", "notifier")


class Step(NamedTuple):
    """One thing that setup did or found: what, and how it stands, in one word."""

    name: str
    outcome: str
    detail: str | None = None
    number: int | None = None

    @property
    def sentence(self) -> str:
        """`shards: 3 made`; `topic metering.usage: differs: partitions: 3, expected 12`."""
        counted = self.outcome if self.number is None else f"{self.number:,} {self.outcome}"
        return ": ".join(filter(None, (self.name, counted, self.detail)))


async def set_up(
    settings: SetupSettings, clock: Clock, *, roles: bool = True, report: Report = report_nothing
) -> AsyncIterator[Step]:
    """Make everything the services need; yields each step. Raises RefusalError when a person must decide.

    With `roles` only the preparation has the rights of the session, which a superuser has the first time. All else,
    migrations above all, has those of `credit_owner`. `report` gets lines about a step that takes long.
    """
    if roles:
        for step in await prepare_roles(settings):
            yield step
    async with opened_pool(settings, "credit-setup", OWNER if roles else None) as pool:
        async with pool.acquire() as connection:
            await connection.execute(load_sql("meter", "go_node_by_node"))
            # What is distributed stays so: without the setting as well, new tables follow the others.
            distributed = settings.distribute == "citus" or await is_on_citus(connection)
            if distributed:
                await check_distribution(connection)
            for name in await migrate_reporting(pool, connection, report):
                yield Step(f"migration {name}", "applied")
            if distributed:
                async for name in distribute(connection, settings.parts):
                    yield Step(name, "distributed")
            collation = await find_collation(connection)
            if collation.has_changed:
                yield Step("collation", "differs", explain_changed(collation))
            elif collation.may_change:
                yield Step("collation", "at risk", explain_may_change(collation))
            outcome = await insert_shards(connection, settings.partitions)
            yield Step("shards", outcome, number=settings.partitions)
            if roles:
                async with connection.transaction():
                    await grant(connection)
                yield Step("roles", "granted", ", ".join(f"credit_{role}" for role in ROLES))
        async with TopicAdmin(settings) as admin:
            await check_inputs_exist(admin, pool, settings)
            for change in await admin.ensure(wanted_topics(settings), settings.replication_factor):
                yield Step(f"topic {settings.topic(change.topic)}", change.action, change.detail or None)
            await check_topics(admin, pool, settings, clock)
        yield Step("input topics", "recorded", "their identity")


async def check_setup(settings: SetupSettings) -> AsyncIterator[Step]:
    """What setup would make or cannot change, without changing anything. The outcome of what is in order is "kept"."""
    async with opened_pool(settings, "credit-setup") as pool:
        for package in PACKAGES:
            missing = await find_missing(pool, package)
            yield Step(f"migrations of {package}", "missing" if missing else KEPT, ", ".join(missing) or None)
        if (collation := await find_collation(pool)).has_changed:
            yield Step("collation", "differs", explain_changed(collation))
    async with TopicAdmin(settings) as admin:
        for change in await admin.compare(wanted_topics(settings), settings.replication_factor):
            yield Step(f"topic {settings.topic(change.topic)}", change.action, change.detail or None)


async def find_collation(connection: Executor | Pool) -> Collation:
    [row] = await connection.fetch(load_sql("meter", "find_collation"))
    return Collation(**row)


async def prepare_roles(settings: SetupSettings) -> list[Step]:
    async with opened_pool(settings, "credit-setup") as pool, pool.acquire() as connection:
        wanted = [role for role in (*ROLES, "owner") if getattr(settings, f"setup_password_{role}") is not None]
        if await is_prepared(connection):
            if wanted:
                raise RefusalError(
                    f"{OWNER} cannot set passwords: run `meter setup` as a superuser for that, or without "
                    + ", ".join(f"METERING_SETUP_PASSWORD_{role.upper()}" for role in wanted)
                )
            return [Step("owner", "kept", f"this session is {OWNER}'s own")]
        limits = ReaderLimits(settings.setup_reader_connections, settings.setup_reader_timeout_s)
        await prepare(connection, limits)
        changed = await set_passwords(connection, settings, wanted)
        return [
            Step("owner", "prepared", f"{OWNER} has the schemas; PUBLIC has nothing in this database"),
            *(Step(f"password of {role}", "set") for role in changed),
        ]


async def migrate_reporting(pool: Pool, connection: Executor, report: Report) -> list[str]:
    watch = asyncio.create_task(watch_index(pool, report))
    try:
        return await migrate(connection, PACKAGES, report)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def watch_index(pool: Pool, report: Report) -> None:
    """Report every few seconds how far the building of an index is."""
    while True:
        await asyncio.sleep(PROGRESS_S)
        async with pool.acquire() as connection, as_who_signed_in(connection):
            row = await connection.fetchrow(load_sql("meter.runtime.postgres", "fetch_index_progress"))
        if row is not None:
            report(f"{row['phase']}: {row['percent'] or 0} %")


async def insert_shards(connection: Executor, partitions: int) -> str:
    """The rows that the services lock and move, one per shard; whether they were made or kept."""
    found = await connection.fetchval(load_sql("meter", "count_shards"))
    if found not in (0, partitions):
        raise RefusalError(
            f"the event store has {count_of(found, 'shard')}, METERING_PARTITIONS says {partitions}. The number "
            f"decides which shard an account is in: set METERING_PARTITIONS={found}. "
            "For more shards: `meter split --help`."
        )
    async with connection.transaction():
        await insert_rows(connection, partitions)
    return KEPT if found else "made"


async def insert_rows(connection: Executor, partitions: int) -> None:
    """Those that are there stay as they are."""
    await connection.execute(load_sql("meter", "insert_shards"), partitions)
    await connection.execute(load_sql("meter", "insert_outbox_shards"), partitions)
    await connection.execute(load_sql("meter", "insert_projection_cursors"), partitions)
    await connection.execute(load_sql("meter", "insert_projection_outbox_shards"), partitions)
    await connection.execute(load_sql("meter", "insert_rebuild_shards"), partitions)
    await connection.execute(load_sql("meter", "insert_notifier_cursors"), partitions, BALANCES)
    await connection.execute(load_sql("meter", "insert_notifier_outbox_shards"), partitions)


async def set_passwords(connection: Executor, settings: SetupSettings, roles: Sequence[str]) -> list[str]:
    for role in roles:
        await set_password(connection, role, getattr(settings, f"setup_password_{role}").get_secret_value())
    return [f"credit_{role}" for role in roles]


def wanted_topics(settings: SetupSettings) -> list[TopicSpec]:
    """The topics with the number of partitions of this installation; anchors stay a single log."""
    return [spec if spec.name == ANCHORS else replace(spec, partitions=settings.partitions) for spec in TOPICS]


async def check_inputs_exist(admin: TopicAdmin, pool: Pool, settings: SetupSettings) -> None:
    """Raises RefusalError before an input topic is made a second time: the event store would refuse it for good."""
    for topic in await PostgresTopicStore(pool).fetch_topics():
        if await admin.find(topic) is None:
            raise RefusalError(
                f"topic {settings.topic(topic)} is gone, and the event store holds offsets of it, which would mean "
                f"other records in a new one. No topic was made. {OF_INPUTS}"
            )


async def check_topics(admin: TopicAdmin, pool: Pool, settings: SetupSettings, clock: Clock) -> None:
    infos: dict[str, TopicInfo] = {}
    for topic in (USAGE, ACCOUNTS):
        info = await admin.describe(topic)
        if info is None:
            raise RefusalError(f"topic {settings.topic(topic)} is gone again right after it was made")
        infos[topic] = info
    await RecordedTopics(PostgresTopicStore(pool), clock, settings.partitions).check_topics(infos)
