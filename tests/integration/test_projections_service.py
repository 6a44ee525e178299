"""`projections run` and `projections show` as real processes, from the log to Kafka."""

import json
import re
from collections import defaultdict

import pytest

from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.build import Decoded, decode_event
from schemas.topics import BALANCES
from tests.integration.projections_books import assert_balances
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import EventLog, fold_all, granted, opened, tool, used
from tests.integration.runtime_ledger import make_topics, read_all
from tests.integration.usage_log import assert_usage
from tests.support.damaging import lift_triggers
from tests.support.processes import Processes, ServiceProcess
from tests.support.waiting import until, until_sync
from tests.support.working_time import within

TIMEOUT_S = 30
SOON_S = 5


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    await make_topics(settings, BALANCES)
    return settings


async def settle(pool: Pool) -> None:
    """Wait until everything is folded and published."""

    async def settled() -> bool:
        behind = await pool.fetchval(
            "SELECT sum(s.next_position - 1 - c.position) FROM projections.cursors c JOIN meter.shards s USING (shard)"
        )
        return bool(behind == 0 and await pool.fetchval("SELECT count(*) FROM projections.outbox") == 0)

    await until(settled, timeout_s=TIMEOUT_S, message="not folded and published")


async def published(settings: Settings) -> dict[int, list[Decoded]]:
    records = await read_all(settings, BALANCES)
    return {p: [decode_event(value) for _key, value in own if value is not None] for p, own in records.items()}


async def test_from_the_log_to_the_topic(pool: Pool, log: EventLog, topics: Settings, processes: Processes) -> None:
    service = processes.start("projections")
    await log.append(*random_history(seed=21))
    await settle(pool)
    service.terminate()
    assert service.wait() == 0
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)
    for partition, messages in (await published(topics)).items():
        assert messages
        positions = [m.data.position for m in messages]  # type: ignore[attr-defined]
        assert positions == sorted(positions)
        assert {m.data.shard for m in messages} == {partition}  # type: ignore[attr-defined]
        ids = [m.envelope.id for m in messages]
        assert len(set(ids)) == len(ids)


async def test_a_shard_that_cannot_be_folded_is_set_aside_while_the_others_go_on(
    pool: Pool, log: EventLog, topics: Settings, processes: Processes
) -> None:
    """What ended the fold of all shards at every start."""
    await log.append(*random_history(seed=24))
    [bad, other] = [opened(f"acct-{number}") for number in (0, 1)]
    assert bad[0].shard != other[0].shard
    await log.append(used("acct-0", 1))
    hole = await pool.fetchval("SELECT next_position - 1 FROM meter.shards WHERE shard = $1", bad[0].shard)
    await lift_triggers(pool, "meter.events")
    await pool.execute(
        "CREATE TABLE gone AS SELECT * FROM meter.events WHERE shard = $1 AND position = $2", bad[0].shard, hole
    )
    await pool.execute("DELETE FROM meter.events WHERE shard = $1 AND position = $2", bad[0].shard, hole)
    service = processes.spawn("projections")

    def faults() -> list[str]:
        status, body = service.get("/readyz")
        return list(json.loads(body)["faults"]) if status == 503 else []

    await until(lambda: faults() == [f"shard {bad[0].shard}"], timeout_s=TIMEOUT_S, message="readiness names no shard")
    await log.append(*(used(event[0].account_id, 1) for event in (bad, other)))

    async def behind() -> list[int]:
        rows = await pool.fetch(
            "SELECT shard FROM projections.cursors JOIN meter.shards USING (shard)"
            " WHERE projection = 'balance' AND position < next_position - 1"
        )
        return [row[0] for row in rows]

    async def only_it_is_behind() -> bool:
        return await behind() == [bad[0].shard]

    await until(only_it_is_behind, timeout_s=TIMEOUT_S, message="the others were not folded")
    assert "metering_shards_set_aside 1.0" in service.get("/metrics")[1]
    # No stall, which would end the process: a new one could not fold it either.
    await until(lambda: 'metering_waiting{work="balance-fold"} 0.0' in service.get("/metrics")[1], timeout_s=TIMEOUT_S)
    assert "only" in service.logged("shard_set_aside")[0]["detail"]
    await pool.execute("INSERT INTO meter.events SELECT * FROM gone")
    await settle(pool)
    await until(lambda: service.get("/readyz")[0] == 200, timeout_s=TIMEOUT_S, message="not ready again")
    await assert_balances(pool, log.events)


@pytest.mark.parametrize(
    "point",
    [
        *("after_fetch", "before_commit", "after_commit", "outbox_before_publish", "outbox_between_publish_and_delete"),
        *("usage_before_commit", "usage_after_commit"),
    ],
)
async def test_a_kill_anywhere_loses_nothing_and_repeats_only_messages(
    pool: Pool, log: EventLog, topics: Settings, processes: Processes, point: str
) -> None:
    await log.append(*random_history(seed=22, length=150))
    hit = 1 if point.startswith(("outbox", "usage")) else 3  # a relay that is late publishes everything at once
    killed = processes.spawn(
        "projections", fault_points=f"{point}:{hit}:kill", fold_events="20", usage_events="50", usage_pause_s="0.01"
    )
    assert killed.wait() == -9
    processes.start("projections")
    await settle(pool)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)
    for messages in (await published(topics)).values():
        by_id = defaultdict(set)
        for message in messages:
            by_id[message.envelope.id].add(message.data)
        assert all(len(copies) == 1 for copies in by_id.values())
        positions, kept = [m.data.position for m in messages], list[int]()  # type: ignore[attr-defined]
        for position in positions:  # dropping what is not newer leaves every message once, in order
            if not kept or position > kept[-1]:
                kept.append(position)
        assert kept == sorted(set(positions))


async def test_processes_side_by_side_share_the_shards(
    pool: Pool, log: EventLog, topics: Settings, processes: Processes
) -> None:
    services = [processes.start("projections", fold_events="50") for _ in range(2)]
    history = random_history(seed=23, accounts=30, length=1500)
    for start in range(0, len(history), 25):
        await log.append(*history[start : start + 25])

    async def share() -> bool:
        await log.append(*(used(f"acct-{number}", 1) for number in range(30)))
        return all(metric(service, 'metering_records_total{outcome="folded"}') for service in services)

    await until(share, message="one process folds everything")
    await settle(pool)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)


async def test_metrics_tell_what_was_folded_and_how_far_behind(
    pool: Pool, log: EventLog, topics: Settings, processes: Processes
) -> None:
    service = processes.start("projections")
    await log.append(*opened("acct-1"), used("acct-1", 1), used("acct-1", 1))
    await settle(pool)
    until_sync(lambda: metric(service, 'metering_records_total{outcome="folded"}') == 5, message="folded")
    until_sync(lambda: metric(service, 'metering_waiting{work="balance-fold"}') == 0, message="waiting")
    until_sync(lambda: metric(service, 'metering_published_total{topic="metering.balances"}') == 4, message="published")
    assert metric(service, "metering_shards") == 3
    until_sync(lambda: metric(service, "metering_unopened_accounts") == 0, message="unopened")


def metric(service: ServiceProcess, name: str) -> float | None:
    match = re.search(rf"^{re.escape(name)} (\S+)$", service.get("/metrics")[1], re.MULTILINE)
    return float(match[1]) if match else None


async def test_a_shard_whose_log_is_damaged_is_set_aside_with_words(
    pool: Pool, log: EventLog, topics: Settings, processes: Processes
) -> None:
    await log.append(*(used("acct-1", 1) for _ in range(3)))
    await lift_triggers(pool, "meter.events")
    await pool.execute("DELETE FROM meter.events WHERE position = 2")
    service = processes.spawn("projections")
    until_sync(lambda: service.logged("shard_set_aside"), timeout_s=TIMEOUT_S)
    assert "only 2 of 3 are in meter.events" in service.logged("shard_set_aside")[0]["detail"]
    until_sync(lambda: service.get("/readyz")[0] == 503, timeout_s=TIMEOUT_S)


async def test_a_database_without_setup_is_waited_for(pool: Pool, topics: Settings, processes: Processes) -> None:
    service = processes.spawn("projections")
    until_sync(lambda: service.logged("dependency_unreachable"), timeout_s=TIMEOUT_S)
    assert "meter setup" in service.logged("dependency_unreachable")[0]["detail"]
    assert service.get("/readyz")[0] == 503
    log = EventLog(pool)
    await log.set_up()
    until_sync(lambda: service.get("/readyz")[0] == 200, timeout_s=TIMEOUT_S)


async def test_a_message_is_published_soon_after_its_event(
    pool: Pool, log: EventLog, topics: Settings, processes: Processes
) -> None:
    """Without the wake-ups both would wait for their polls: a minute here."""
    service = processes.start("projections", fold_poll_s="60", fold_workers="1")
    await log.append(*opened("acct-1"))
    with within(SOON_S):
        await until(lambda: metric(service, 'metering_published_total{topic="metering.balances"}') == 3)
    await log.append(granted("acct-1", 5))
    with within(SOON_S):
        await until(lambda: metric(service, 'metering_published_total{topic="metering.balances"}') == 4)


async def test_show_in_a_pipe_and_as_json(pool: Pool, log: EventLog, topics: Settings, processes: Processes) -> None:
    processes.start("projections")
    await log.append(*opened("acct-1"), used("acct-1", 60.5), tool("acct-1", 10))
    await settle(pool)
    piped = processes.run("projections", "show", "acct-1")
    assert piped.returncode == 0, piped.stderr
    heading, credits, runs = (line.split("\t") for line in piped.stdout.splitlines())
    assert heading[:4] == ["resource", "status", "allowed", "used"]
    assert credits[:7] == ["model_credits", "low", "true", "60.5", "75", "14.5", "80.66"]
    assert runs[:7] == ["tool_runs", "good", "true", "10", "10000", "9990", "0.1"]
    shown = json.loads(processes.run("projections", "show", "acct-1", "--json").stdout)
    assert (shown["status"], shown["plan"]) == ("low", "free")
    assert {(u["kind"], u["amount"]) for u in shown["usage"]} == {("model_inference", "60.5"), ("tool_run", "10")}


@pytest.mark.parametrize("account", ["acct-none", "acct-used"])
async def test_show_of_an_account_that_nobody_opened_fails_with_words(
    pool: Pool, log: EventLog, processes: Processes, account: str
) -> None:
    await log.append(used("acct-used", 5))
    await fold_all(pool)
    shown = processes.run("projections", "show", account)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == (
        f"nobody opened account {account}: it is allowed nothing. Look at the id; what came for it is kept until it is "
        f"opened: meter accounts show {account}\n"
    )


def test_show_without_a_database_says_so(processes: Processes) -> None:
    shown = processes.run("projections", "show", "acct-1", postgres_dsn="postgresql://127.0.0.1:1/none")
    assert shown.returncode == 3
    assert "postgres is not reachable" in shown.stderr


@pytest.mark.parametrize("verb", ["run", "show"])
def test_help_has_an_example(processes: Processes, verb: str) -> None:
    result = processes.run("projections", verb, "--help")
    assert result.returncode == 0
    assert f"projections {verb}" in result.stdout
    assert "Example" in result.stdout
