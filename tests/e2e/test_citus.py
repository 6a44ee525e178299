"""The whole way on a Citus cluster: setup distributes, three processes run, and what they keep is whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.stack import Addresses, change_dsn
from projections.reader import BalanceReader
from schemas.resources import Resource
from tests.e2e.running import WAIT_S, Running
from tests.support.citus import NODES, CitusDatabases, citus_dsn, on_node, run
from tests.support.servers import CLUSTER, Servers
from tests.support.waiting import until

pytestmark = pytest.mark.needs_citus
USED = """
SELECT name, events, amount::text FROM projections.usage_by_day WHERE account_id = $1 AND resource = 'model_credits'
"""
ACCOUNTS = tuple(f"acct-{number}" for number in range(10))
ROUNDS = 20
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'credit%'
"""
DRAIN = "SELECT citus_drain_node($1, $2)"
PARTS_ON = """
SELECT count(*) FROM citus_shards WHERE citus_table_type = 'distributed' AND nodename = $1 AND nodeport = $2
"""
TAKE_PARTS = "SELECT citus_set_node_property($1, $2, 'shouldhaveshards', $3)"
REBALANCE = "SELECT citus_rebalance_start()"
JOB = "SELECT state::text FROM pg_dist_background_job WHERE job_id = $1"
SAID = "SELECT status::text, message FROM pg_dist_background_task WHERE job_id = $1 AND message IS NOT NULL"
STORED = """
SELECT count(*) AS stored, count(DISTINCT (event_key, shard)) AS distinct FROM meter.events WHERE type <= 4
"""
NOT_DISTRIBUTED = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('meter', 'projections', 'notifier') AND c.relkind = 'r'
  AND c.oid NOT IN (SELECT logicalrelid FROM pg_dist_partition)
"""


@pytest.fixture
def stack(servers: Servers) -> Addresses:
    """The cluster, beside the Kafka of all tests."""
    kafka = servers.kafka
    return Addresses(str(citus_dsn()), CLUSTER, kafka.address, kafka.kind, dict(servers.used))


@pytest.fixture
async def dsn(stack: Addresses) -> AsyncIterator[str]:
    databases = CitusDatabases(stack.postgres_dsn)
    made = await databases.create_plain()
    yield made
    await databases.drop(made)


@pytest.fixture
def env(env: dict[str, str]) -> dict[str, str]:
    return env | {"METERING_DISTRIBUTE": "citus", "METERING_DISTRIBUTE_PARTS": "4"}


async def test_from_events_to_balances_banners_and_letters(running: Running) -> None:
    assert await running.pool.fetchval(NOT_DISTRIBUTED) == 0
    await running.open("jumper", "payer", "bystander")
    await running.use_settled("jumper", Resource.MODEL_CREDITS, "33.75")
    await running.use_settled("jumper", Resource.MODEL_CREDITS, "30")
    assert await running.outcomes("jumper", "email") == {50: "superseded", 70: "superseded", 80: "delivered"}
    assert len(running.subjects("jumper")) == 1
    await running.until_banner("jumper", (80, True))
    await running.use_settled("payer", Resource.MODEL_CREDITS, "75")
    reader = BalanceReader(running.pool)
    assert not await reader.allowed("payer", Resource.MODEL_CREDITS)
    granting = ("grant", "payer", "model_credits", "100", "--reason", "top_up", "--reference", "INV-9")
    done = running.processes.run("meter", *granting)
    assert done.returncode == 0, done.stderr
    running.ledger.grant("payer", Resource.MODEL_CREDITS, 100_000_000)
    await running.settle()
    assert await reader.allowed("payer", Resource.MODEL_CREDITS)
    await running.reverse("payer", Resource.MODEL_CREDITS, "25")
    await until_used(running, "payer", [("large-chat", 1, "50.000000")])
    await assert_whole(running)


async def until_used(running: Running, account: str, wanted: list[tuple[str, int, str]]) -> None:
    async def is_used() -> bool:
        return [tuple(row) for row in await running.pool.fetch(USED, account)] == wanted

    await until(is_used, WAIT_S, f"{account} has used {wanted}")


async def assert_whole(running: Running) -> None:
    """What the log says, and what was computed from it, before and after it is computed anew."""
    steps = [
        ("meter", "verify", "credit_support"),
        ("projections", "rebuild", "credit_projections"),
        ("projections", "verify", "credit_support"),
    ]
    for name, verb, role in steps:
        dsn = change_dsn(running.settings.postgres_dsn, database_of(running.settings.postgres_dsn), role)
        done = running.processes.run(name, verb, postgres_dsn=dsn)
        assert done.returncode == 0, (name, verb, done.stdout, done.stderr)


async def test_verbs_that_a_cluster_cannot_do_say_so(running: Running) -> None:
    answers = {"seal": ("--yes",)}
    for verb, role in (("prune", "credit_pruner"), ("split", None), ("seal", None)):
        dsn = change_dsn(running.settings.postgres_dsn, database_of(running.settings.postgres_dsn), role)
        done = running.processes.run("meter", verb, *answers.get(verb, ()), postgres_dsn=dsn, partitions="6")
        assert done.returncode == 1, (verb, done.stdout, done.stderr)
        assert "Citus" in done.stderr and "Nothing was changed" in done.stderr, done.stderr


def database_of(dsn: str) -> str:
    return dsn.rpartition("/")[2]


async def test_a_node_that_loses_its_sessions_costs_and_doubles_nothing(running: Running) -> None:
    await running.open(*ACCOUNTS)
    [_first, *workers] = await running.pool.fetch(NODES)
    for _ in range(ROUNDS):
        await use_a_little(running)
        for worker in workers:
            node = on_node(running.settings.postgres_dsn, worker["host"], worker["port"])
            await run(node, END_SESSIONS)
    await running.settle()
    await assert_each_event_once(running)
    await assert_whole(running)


async def test_parts_move_to_another_node_while_services_run(running: Running) -> None:
    await running.open(*ACCOUNTS)
    [_first, worker, *_others] = await running.pool.fetch(NODES)
    moving = asyncio.create_task(run(running.settings.postgres_dsn, DRAIN, worker["host"], worker["port"]))
    while not moving.done():
        await use_a_little(running)
        await running.usage.flush()
    await moving
    assert await running.pool.fetchval(PARTS_ON, worker["host"], worker["port"]) == 0
    await use_a_little(running)
    await running.settle()
    await assert_each_event_once(running)
    await assert_whole(running)


async def test_the_rebalancer_empties_a_node_and_fills_it_again_while_services_run(running: Running) -> None:
    """As the guide has it for one node more: a node without parts gets some."""
    await running.open(*ACCOUNTS)
    [_first, worker, *_others] = await running.pool.fetch(NODES)
    for takes_parts in (False, True):
        await running.pool.execute(TAKE_PARTS, *worker, takes_parts)
        await rebalance(running)
        parts = await running.pool.fetchval(PARTS_ON, *worker)
        assert bool(parts) == takes_parts
    await use_a_little(running)
    await running.settle()
    await assert_each_event_once(running)
    await assert_whole(running)


async def rebalance(running: Running) -> None:
    """With the defaults of Citus, while events flow."""
    job = await running.pool.fetchval(REBALANCE)
    while (state := await running.pool.fetchval(JOB, job)) in ("scheduled", "running"):
        # A move that fails is tried again for half an hour, and says why at once.
        assert [tuple(row) for row in await running.pool.fetch(SAID, job) if "ERROR" in row["message"]] == []
        await use_a_little(running)
        await running.usage.flush()
    assert state == "finished"


async def use_a_little(running: Running) -> None:
    for account in ACCOUNTS:
        await running.use(account, Resource.MODEL_CREDITS, 1000)


async def assert_each_event_once(running: Running) -> None:
    [(stored, distinct)] = await running.pool.fetch(STORED)
    assert stored == distinct == sum(book.consumed for book in running.ledger.books.values()) // 1000
