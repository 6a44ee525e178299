"""Attackers of one right each, before the running services: who may write metering.usage, and each database role.

The services run under the users of deploy/kafka-acls.txt and their own roles: what is gained here is gained anywhere.
"""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from deploy.local.stack import Addresses
from meter.roles import ROLES
from meter.runtime.kafka import Message, Producer
from meter.runtime.kafka.adapter.options import client_options
from schemas.limits import MAX_DAY_DEPLOYMENTS, MAX_DAY_NAMES, OTHER_NAME
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, NOTIFICATIONS
from tests.e2e.attacked import HONEST, Attacked, account_of, attacked, own, pack  # noqa: F401  # fixtures are arguments below
from tests.fuzz.batches import ATTRIBUTES_AT
from tests.integration.test_meter_role_locks import MODES, PEOPLE, SERVICES
from tests.integration.test_meter_roles import log_in
from tests.integration.test_projections_only_opened import find_views_with
from tests.support import builders
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.processes import Processes
from tests.support.raw_batches import ZSTD, batch, record, reseal
from tests.support.tls_kafka import TlsKafka, certificates, kafka  # noqa: F401  # fixtures are arguments below
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("tls_kafka")

BAD_NAME: Final = [(b"\xff\xfe", b"x")]
HOSTILE: Final[dict[str, tuple[int, Callable[[], bytes]]]] = {
    "a header whose name is no UTF-8": (1, lambda: batch([record(0, b"{}", key=b"k", headers=BAD_NAME)])),
    "more than is unpacked": (3, lambda: batch([record(n, bytes(6 << 20)) for n in range(3)], kind=ZSTD)),
    "a far offset": (1, lambda: batch([record(9_000_000, b"{}", key=b"k")])),
    "headers without end": (1, lambda: batch([record(0, b"{}", headers=[(b"", None)] * 3_000_000)], kind=ZSTD)),
    "records that are too large": (2, lambda: batch([record(n, b"x" * 300_000) for n in range(2)])),
}
TRANSACTIONAL, CONTROL = 1 << 4, 1 << 5  # attributes of a batch
GREATEST: Final = 10_000_000  # credits of one event, as it could have once
SOURCES: Final = {HONEST: "*", "//tools.example.com": "team-a-*", "//flood.example.com": "*"}
LIMITED: Final = {"allowed_sources": json.dumps(SOURCES)}
ITEM: Final = {"kind": "model", "id": "small-chat", "name": "Small", "status": "deployed"}


def mark(written: bytes, bits: int) -> bytes:
    return reseal(written[:ATTRIBUTES_AT] + bits.to_bytes(2, "big") + written[ATTRIBUTES_AT + 2 :])


async def test_batches_that_no_client_reads_end_nothing(attacked: Attacked) -> None:
    """Each in every partition; each ended the meter, or kept it from starting."""
    shards, sent = range(attacked.settings.partitions), 0
    for count, make in HOSTILE.values():
        for shard in shards:
            await attacked.write(make(), shard)
        await attacked.goes_on()
        sent += count * len(shards)
    await attacked.is_read()
    assert sum((await attacked.count_refused()).values()) == sent


async def test_a_flood_of_great_amounts_charges_nobody(attacked: Attacked) -> None:
    """More than one event may say is refused, each by itself."""
    account = attacked.victims[0]
    great = (builders.model_inference(str(GREATEST), account, time=None, source=HONEST) for _ in range(1_000))
    await attacked.write(pack(great), 0)
    await attacked.is_read()
    assert await attacked.count_refused() == {"amount_above_limit": 1_000}


async def test_who_may_write_usage_alone_holds_no_partition(
    attacked: Attacked, kafka: TlsKafka, topic_prefix: str
) -> None:
    """Without a right on a transactional id none is begun, nor can its records be written past the client."""
    name = topic_prefix + "stranger"
    producer = AIOKafkaProducer(**client_options(attacked.attacker), transactional_id=name)
    with pytest.raises(TransactionalIdAuthorizationFailed):
        await producer.start()
    await producer.stop()
    for bits in (TRANSACTIONAL, CONTROL, TRANSACTIONAL | CONTROL):
        with pytest.raises(KafkaError):
            await attacked.write(mark(batch([record(0, b"{}", key=b"k")]), bits), 0)
    await attacked.goes_on()


async def test_who_may_write_usage_alone_reaches_no_other_topic(attacked: Attacked) -> None:
    """Not the one that grants credits, nor what the services tell each other; nor does a grant count on theirs."""
    account = attacked.victims[0]
    grant = builders.granted(account_id=account, time=None)
    async with Producer(attacked.attacker) as producer:
        for topic in (ACCOUNTS, BALANCES, NOTIFICATIONS, ANCHORS):
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.publish([Message(topic, account, builders.encode(grant))])
    await attacked.write(pack(iter([grant])), 0)
    await attacked.is_read()
    assert await attacked.count_refused() == {"wrong_topic": 1}


@pytest.mark.parametrize("own", [LIMITED], indirect=True, ids=["sources limited"])
async def test_a_source_charges_no_accounts_but_its_own(attacked: Attacked) -> None:
    """By mistake: who means to writes another source, and is believed, as the README says."""
    account = attacked.victims[0]
    strays = [
        builders.tool_run(account_id=account, time=None, source=source)
        for source in ("//tools.example.com", "//unknown.example.com", HONEST)
    ]
    await attacked.write(pack(iter(strays)), 0)
    await attacked.is_read()
    assert await attacked.count_refused() == {"source_not_allowed": 2}
    runs = "SELECT count(*) FROM meter.events WHERE account_id = $1 AND resource = 2 AND type = 4"
    assert await attacked.pool.fetchval(runs, account) == 1


async def test_names_without_end_stay_little_for_readers(attacked: Attacked) -> None:
    account, names, kept = attacked.victims[0], 5 * MAX_DAY_NAMES, MAX_DAY_NAMES - 1  # one is that of honest usage
    flood = (
        builders.event("usage.tool_run.v1", {"tool": f"tool-{number}"}, account, time=None) for number in range(names)
    )
    await attacked.write(pack(flood), 0)
    lines = """SELECT count(*)::int, sum(events)::int, sum(events) FILTER (WHERE name = $2)::int
               FROM projections.usage_by_day WHERE account_id = $1 AND kind = 'tool_run'"""

    async def is_short() -> bool:
        [row] = await attacked.pool.fetch(lines, account, OTHER_NAME)
        return bool(tuple(row) == (kept + 1, names, names - kept))

    await until(is_short, 60, "the names of a day are not those of the rule")


async def test_deployments_and_statuses_without_end_stay_little_for_readers(attacked: Attacked) -> None:
    account, pairs = account_of(0, attacked.settings.partitions, "crowded"), MAX_DAY_DEPLOYMENTS + 1_000
    used: dict[str, Any] = {"credits": "0.000001", "model": "small-chat"}
    flood = (
        builders.event("usage.model_inference.v1", used | {"deployment": f"pod-{number}"}, account, time=None)
        if number % 2
        else builders.event("usage.tool_run.v1", {"tool": "search", "status": f"failed: {number}"}, account, time=None)
        for number in range(pairs)
    )
    await attacked.write(pack(flood), 0)
    lines = """SELECT count(DISTINCT (kind, item, deployment, status))::int, sum(events)::int
               FROM projections.usage_slots WHERE account_id = $1"""

    async def is_short() -> bool:
        [row] = await attacked.pool.fetch(lines, account)
        return bool(tuple(row) == (MAX_DAY_DEPLOYMENTS + 2, pairs))  # and two lines of others

    await until(is_short, 120, "the deployments and statuses of a day are not those of the rule")


async def test_made_up_accounts_are_counted_and_in_no_view_of_readers(
    attacked: Attacked, stack: Addresses, values: dict[str, Any]
) -> None:
    """Whoever may write usage can make up as many accounts as there are ids."""
    made = [account_of(0, attacked.settings.partitions, f"made-{number}") for number in range(300)]
    used = [builders.model_inference(account_id=name, time=None) for name in made]
    told = [builders.event("item.changed.v1", ITEM, name, time=None) for name in made]
    await attacked.write(pack(iter(used + told)), 0)
    service = attacked.services["projections"]
    counted = f"metering_unopened_accounts {len(made):.1f}"
    await until(lambda: counted in service.get("/metrics")[1], 60, "made-up accounts are not counted")
    assert await attacked.count_refused() == {}, "each was taken, and is in no view all the same"
    for role in ("reader", "console"):
        async with log_in(stack, str(values["postgres_dsn"]), role) as connection:
            assert await find_views_with(connection, attacked.victims), "the search can find accounts"
            assert await find_views_with(connection, made) == set()


async def test_what_every_role_can_do_holds_nobody_up(
    attacked: Attacked, stack: Addresses, values: dict[str, Any], processes: Processes
) -> None:
    """Notifications of any content, and every advisory lock: neither stops a service or a setup. Nor do the locks on
    tables and rows that those may take who are no service, however long they are held."""
    for role in ROLES:
        async with log_in(stack, str(values["postgres_dsn"]), role) as connection:
            for channel in ("meter_events", "projections_outbox", "meter_outbox", "notifier_outbox"):
                for payload in ("", "-1", "999999999999999999999", "x" * 7_999):
                    await connection.execute("SELECT pg_notify($1, $2)", channel, payload)
            await connection.execute("SELECT pg_advisory_lock(key) FROM generate_series(-1000, 1000) key")
            async with connection.transaction():
                if role in PEOPLE:
                    await lock_all(connection)
                await attacked.write(batch([record(0, b"no JSON", key=b"k")]), 0)  # credit_pruner could lock rejections
                await attacked.goes_on()
                done = processes.run("meter", "setup", "--no-roles")
                assert done.returncode == 0, done.stderr


async def lock_all(connection: asyncpg.Connection) -> None:
    """Every table, in every mode, and every row, as far as it is permitted."""
    names = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY($1)"
    for (table,) in await connection.fetch(names, list(SERVICES)):
        statements = [f"LOCK TABLE {table} IN {mode} MODE" for mode in ("ACCESS SHARE", *MODES)]
        for statement in (*statements, f"SELECT FROM {table} FOR UPDATE", f"SELECT FROM {table} FOR KEY SHARE"):
            with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(statement)
