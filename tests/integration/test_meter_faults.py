"""The meter when things break: killed at every step, cut off from Postgres, started without it, two at once."""

from collections.abc import Callable
from typing import Any

import pytest

from meter.client import UsageProducer
from meter.runtime.kafka import Producer
from meter.runtime.kafka.groups import fetch_committed
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from meter.settings import MeterSettings
from schemas.topics import ACCOUNTS, USAGE
from tests.support import builders, until
from tests.support.meter import rehash, running_meter, set_up_meter, wait_until_stored
from tests.support.processes import Processes

NOWHERE = "127.0.0.1:1"
EVENTS = 600
OFFSETS = (USAGE, "usage_offset"), (ACCOUNTS, "accounts_offset")


@pytest.fixture
def settings(values: dict[str, Any], installed: None) -> MeterSettings:
    return MeterSettings(**(values | {"batch_events": 50}))


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What the meters inside the test have logged up to now."""
    parts: list[str] = []

    def read() -> str:
        parts.append(capsys.readouterr().out)
        return "".join(parts)

    return read


async def produce(settings: MeterSettings, count: int = EVENTS) -> None:
    async with UsageProducer(settings, source="/tests") as usage:
        for n in range(count):
            await usage.tool_run(f"acc-{n % 20}", tool="search", runs=1)


async def produce_mixed(settings: MeterSettings) -> None:
    """Nonsense in every batch, which is then stored by several statements."""
    async with Producer(settings) as producer:
        for _ in range(20):
            await produce(settings, EVENTS // 20)
            for n in range(20):
                await producer.send(USAGE, f"acc-{n}", b"not json", headers=builders.STRUCTURED)
            await producer.flush()


def in_group(settings: MeterSettings, prefix: str) -> MeterSettings:
    """In a consumer group of its own: it need not wait until the dead member's session has timed out."""
    name = settings.group("meter")
    object.__setattr__(settings, "group", lambda _: f"{prefix}-{name}")
    return settings


async def check_log(pool: Pool, count: int = EVENTS) -> None:
    """Every offset once, positions without a hole, the chain unbroken."""
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == count
    assert await pool.fetchval("SELECT count(*) FROM meter.duplicates") == 0
    holes = await pool.fetchval(
        "SELECT count(*) FROM (SELECT shard FROM meter.events GROUP BY shard "
        "HAVING max(position) <> count(*) OR count(DISTINCT kafka_offset) <> count(*)) broken"
    )
    assert holes == 0
    for shard in range(3):
        stored = await pool.fetch("SELECT previous, hash FROM meter.batches WHERE shard = $1 ORDER BY batch", shard)
        computed = await rehash(pool, shard, 1, len(stored))
        assert [row.hash for row in computed] == [row["hash"] for row in stored]
        assert [row["previous"] for row in stored[1:]] == [row["hash"] for row in stored[:-1]]


@pytest.mark.parametrize("point", ["after_fetch", "after_compare_and_set", "in_copy", "before_commit", "after_commit"])
async def test_killed_at_any_step_it_loses_and_repeats_nothing(
    processes: Processes, settings: MeterSettings, pool: Pool, point: str
) -> None:
    await (produce_mixed(settings) if point in ("after_compare_and_set", "in_copy") else produce(settings))
    victim = processes.spawn("meter", batch_events="50", fault_points=f"{point}:4:kill")
    assert victim.wait() == -9
    stored = await pool.fetchval("SELECT count(*) FROM meter.events")
    assert 0 < stored < EVENTS
    async with running_meter(in_group(settings, "successor")):
        await wait_until_stored(pool, settings, timeout_s=60)
    await check_log(pool)


async def test_connections_that_are_cut_again_and_again(
    processes: Processes, settings: MeterSettings, pool: Pool
) -> None:
    service = processes.start("meter", batch_events="20")

    produced = 0

    async def cut_at_work() -> bool:
        """A cut between two statements costs nothing: cut until one hurt, and six times at least."""
        nonlocal produced
        await produce(settings, 60)
        produced += 60
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'credit-meter' AND datname = current_database()"
        )
        return bool(service.logged("save_failed") or service.logged("dependency_unreachable"))

    for _ in range(6):
        await cut_at_work()
    await until(cut_at_work, 60, service.output)
    await wait_until_stored(pool, settings, timeout_s=60)
    assert service.running
    await check_log(pool, produced)


async def test_a_lock_that_is_held_too_long_costs_time_and_nothing_else(
    values: dict[str, Any], pool: Pool, logged: Callable[[], str]
) -> None:
    """The meter does not wait for a row that another transaction holds: it tries again, and says why."""
    await set_up_meter(values)
    settings = MeterSettings(**values)
    async with running_meter(settings):
        async with pool.acquire() as holder, holder.transaction():
            for shard in range(settings.partitions):
                await holder.execute("SELECT FROM meter.shards WHERE shard = $1 FOR UPDATE", shard)
            await produce(settings, 60)
            await until(lambda: "ownership_lost" in logged(), timeout_s=30)
        await wait_until_stored(pool, settings)
    assert "another transaction holds shard" in logged()
    await check_log(pool, 60)


async def test_two_writers_that_both_think_a_shard_is_theirs(
    values: dict[str, Any], settings: MeterSettings, pool: Pool, logged: Callable[[], str]
) -> None:
    """Groups of their own give each meter all shards: only the fence is left between them."""
    rival = in_group(MeterSettings(**(values | {"batch_events": 70})), "rival")
    async with running_meter(settings) as one, running_meter(rival) as other:
        await until(lambda: has_all_shards(one) and has_all_shards(other), message="not both have all shards")
        await produce(settings)
        await wait_until_stored(pool, settings, timeout_s=60)
        await until(lambda: "ownership_lost" in logged(), message="none of them came second")
    await check_log(pool)


def has_all_shards(health: Health) -> bool:
    return health.metrics.registry.get_sample_value("metering_shards") == 3


@pytest.mark.parametrize(
    ("dependency", "overrides"),
    [
        ("postgres", {"postgres_dsn": f"postgresql://{NOWHERE}/none"}),
        ("kafka", {"kafka_bootstrap": NOWHERE}),
    ],
    ids=["postgres", "kafka"],
)
async def test_without_a_dependency_it_waits_says_so_and_still_ends_on_sigterm(
    processes: Processes, settings: MeterSettings, dependency: str, overrides: dict[str, str]
) -> None:
    service = processes.spawn("meter", **overrides)
    await until(lambda: len(service.logged("dependency_unreachable")) >= 2, timeout_s=40)
    entries = service.logged("dependency_unreachable")
    assert {entry["dependency"] for entry in entries} == {dependency}
    assert service.get("/healthz")[0] == 200
    assert service.get("/readyz")[0] == 503
    service.terminate()
    assert service.wait() == 0


async def test_sigterm_drains(processes: Processes, settings: MeterSettings, pool: Pool) -> None:
    """What it stored is committed to Kafka before it ends, unless it says that Kafka took too long."""
    await produce(settings)
    service = processes.start("meter", batch_events="50")

    async def has_begun() -> bool:
        return bool(await pool.fetchval("SELECT EXISTS (SELECT position FROM meter.events)"))

    _: bool = await until(has_begun)
    service.terminate()
    assert service.wait() == 0
    stored, committed = await fetch_stored(pool), await fetch_committed(settings, "meter", [USAGE, ACCOUNTS])
    assert {place: committed.get(place, 0) for place in stored} == stored or service.logged("kafka_commit_failed")
    async with running_meter(settings):
        await wait_until_stored(pool, settings)
    await check_log(pool)


async def fetch_stored(pool: Pool) -> dict[tuple[str, int], int]:
    """Offsets by topic and shard."""
    rows = await pool.fetch("SELECT shard, usage_offset, accounts_offset FROM meter.shards")
    return {(topic, row["shard"]): row[column] for row in rows for topic, column in OFFSETS}


async def test_a_bug_ends_the_process_and_nothing_is_lost_or_doubled(
    processes: Processes, settings: MeterSettings, pool: Pool
) -> None:
    await produce(settings, 20)
    service = processes.spawn("meter", fault_points="before_commit:1:bug")
    assert service.wait() == 1
    assert service.logged("service_crashed")
    async with running_meter(settings):
        await wait_until_stored(pool, settings)
    await check_log(pool, 20)


async def test_a_refusal_ends_the_process_with_a_sentence(
    processes: Processes, settings: MeterSettings, pool: Pool
) -> None:
    await pool.execute("UPDATE meter.shards SET usage_offset = 17")
    service = processes.spawn("meter")
    assert service.wait() == 1
    (entry,) = service.logged("service_refused")
    assert "stored offset is 17" in entry["detail"] and "Traceback" not in service.output()


async def test_a_flood_of_bad_records_is_kept_and_passed(
    settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    for _ in range(300):
        await producer.send(USAGE, builders.ACCOUNT, b"\x00not json", headers=builders.STRUCTURED)
    await producer.flush()
    await produce(settings, 20)
    async with running_meter(settings) as health:
        await wait_until_stored(pool, settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 300
    assert health.metrics.registry.get_sample_value("metering_records_total", {"outcome": "stored"}) == 20
    await check_log(pool, 20)
