"""The commands as people and scripts use them: real processes, their exit codes, their output in a pipe."""

import asyncio
import json
from typing import Any
from uuid import UUID

import confluent_kafka
import pytest
from typer.testing import CliRunner

from deploy.local.stack import Addresses
from meter.cli import app
from meter.runtime.kafka import Message, Producer
from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.topics import REROUTED_HEADER, USAGE, partition_for
from tests.support import builders
from tests.support.meter import running_meter, wait_until_stored
from tests.support.processes import Processes, run_command

COMMANDS = [
    [], ["setup"], ["run"], ["open"], ["grant"], ["rejections"], ["rejections", "list"], ["rejections", "show"],
    ["rejections", "replay"], ["rejections", "dismiss"], ["accounts"], ["accounts", "find"], ["accounts", "show"],
    ["accounts", "unopened"], ["accounts", "plan"], ["accounts", "rename"], ["accounts", "contacts"],
    ["accounts", "close"], ["accounts", "reopen"], ["rerouted"], ["verify"],
    ["check"], ["prune"],
]  # fmt: skip
NOWHERE = "127.0.0.1:1"


async def send(producer: Producer, value: bytes | None, **changes: Any) -> None:
    message = Message(USAGE, builders.ACCOUNT, value, headers=builders.STRUCTURED)
    await producer.publish([message._replace(**changes)])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "meter")
def test_help_shows_an_example_and_needs_nothing(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    if len(command) == 2 or (command and command not in (["rejections"], ["accounts"])):
        assert "Example" in done.stdout and f"meter {' '.join(command)}" in done.stdout


def test_opening_and_granting_without_waiting_print_the_events_id(
    processes: Processes, meter_settings: MeterSettings
) -> None:
    opened = processes.run("meter", "open", "acc-1", "--contact", "owner@example.com", "--plan", "pro", "--no-wait")
    granted = processes.run(
        "meter", "grant", "acc-1", "tool_runs", "12", "--reason", "top_up", "--reference", "ticket-7", "--no-wait"
    )
    for done in (opened, granted):
        assert (done.returncode, done.stderr) == (0, "")
        assert UUID(done.stdout.strip()).version == 7


async def test_a_command_repeated_with_its_event_id_counts_once(
    processes: Processes, meter_settings: MeterSettings, pool: Pool
) -> None:
    id = "0193a1f2-7c00-7000-8000-000000000001"
    grant = ["grant", "acc-1", "model_credits", "5", "--reason", "r", "--reference", "r", "--event-id", id, "--no-wait"]
    outputs = [processes.run("meter", *grant).stdout.strip() for _ in range(2)]
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    assert outputs == [id, id]
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["grant", "acc-1", "model_credits", "1.1234567", "--reason", "r", "--reference", "r"], "invalid_amount"),
        (["grant", "acc-1", "model_credits", "-5", "--reason", "r", "--reference", "r"], "negative"),
        (["grant", "acc-1", "model_credits", "0", "--reason", "r", "--reference", "r"], "invalid_amount"),
        (["grant", "acc 1", "model_credits", "1", "--reason", "r", "--reference", "r"], "invalid_subject"),
        (["grant", "acc-1", "gold", "1", "--reason", "r", "--reference", "r"], "model_credits"),
        (["grant", "acc-1", "model_credits", "1", "--reason", "r"], "--reference"),
        (["open", "acc-1", "--contact", "a@example.com,b@example.com"], "invalid_contacts"),
        (["open", "acc-1", "--event-id", "order ä"], "invalid_id"),
        (["rejections", "list", "--reason", "bad_luck"], "not_json"),
    ],
)
def test_bad_usage_exits_with_2_and_says_why(env: dict[str, str], arguments: list[str], complaint: str) -> None:
    done = CliRunner().invoke(app, arguments, env=env)
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr and "Traceback" not in done.stderr


def test_bad_settings_are_all_named_and_exit_with_2(env: dict[str, str]) -> None:
    broken = env | {"METERING_PARTITIONS": "none", "METERING_FREE_TOOL_RUNS": "-1", "METERING_MAX_AHEAD_S": "x"}
    done = run_command("meter", "run", env=broken)
    assert done.returncode == 2
    for variable in ("METERING_PARTITIONS", "METERING_FREE_TOOL_RUNS", "METERING_MAX_AHEAD_S"):
        assert variable in done.stderr


@pytest.mark.parametrize("command", [["setup"], ["rejections", "list"]], ids=" ".join)
def test_an_unreachable_postgres_exits_with_3(env: dict[str, str], command: list[str]) -> None:
    done = run_command("meter", *command, env=env | {"METERING_POSTGRES_DSN": f"postgresql://{NOWHERE}/none"})
    assert done.returncode == 3
    assert "postgres is not reachable" in done.stderr and "Traceback" not in done.stderr


# The driver closes a refused connection with TLS in the background, and the process ends before that.
@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")
@pytest.mark.parametrize(
    ("user", "database", "code", "complaint"),
    [
        ("postgres", "nowhere", 2, "does not exist"),
        ("nobody", "postgres", 2, "nobody"),
        ("postgres", "postgres", 1, "meter setup"),
    ],
    ids=["database", "role", "tables"],
)
def test_what_postgres_refuses_is_said_in_a_sentence(
    env: dict[str, str], stack: Addresses, user: str, database: str, code: int, complaint: str
) -> None:
    dsn = {"METERING_POSTGRES_DSN": stack.dsn(database, user)}
    done = CliRunner().invoke(app, ["rejections", "list"], env=env | dsn)
    assert (done.exit_code, done.stdout) == (code, "")
    assert complaint in done.stderr and "METERING_POSTGRES_DSN" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["setup", "--no-roles"], ["open", "acc-1", "--no-wait"]], ids=" ".join)
def test_an_unreachable_kafka_exits_with_3(env: dict[str, str], command: list[str]) -> None:
    done = run_command("meter", *command, env=env | {"METERING_KAFKA_BOOTSTRAP": NOWHERE})
    assert done.returncode == 3
    assert "kafka is not reachable" in done.stderr and "Traceback" not in done.stderr


def test_opening_before_setup_says_what_to_do(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meter.sending.DELIVERY_TIMEOUT_S", 3)  # so long it waits for the topic
    for arguments, code in (["open", "acc-1"], 1), (["open", "acc-1", "--no-wait"], 3):
        done = CliRunner().invoke(app, arguments, env=env)
        assert (done.exit_code, done.stdout) == (code, "")
        assert "meter setup" in done.stderr


def test_setup_tells_its_steps(env: dict[str, str], empty_dsn: str) -> None:
    done = run_command("meter", "setup", env=env | {"METERING_POSTGRES_DSN": empty_dsn})
    assert done.returncode == 0
    assert all(line.startswith("index ") for line in done.stderr.splitlines())  # what takes long on a large log
    steps = done.stdout.splitlines()
    assert "shards: 3 made" in steps and "migration meter/0001_event_store.sql: applied" in steps
    again = run_command("meter", "setup", env=env | {"METERING_POSTGRES_DSN": empty_dsn})
    assert again.returncode == 0 and "shards: 3 kept" in again.stdout.splitlines()
    as_json = run_command("meter", "setup", "--json", env=env | {"METERING_POSTGRES_DSN": empty_dsn})
    outcomes = {line["step"]: line["outcome"] for line in map(json.loads, as_json.stdout.splitlines())}
    assert outcomes["shards"] == "kept" and set(outcomes.values()) <= {"kept", "prepared", "granted", "recorded"}


async def test_a_rejection_is_listed_shown_and_replayed(
    processes: Processes, meter_settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    """A record that is in a wrong partition again: the replay puts it on the right one, where it is stored."""
    value = json.dumps(builders.model_inference(account_id=builders.ACCOUNT)).encode()
    wrong = (partition_for(builders.ACCOUNT.encode(), 3) + 1) % 3
    await send(producer, value, partition=wrong, headers=[(REROUTED_HEADER, b"0/1")])
    await send(producer, b"\x1b[31mred\xff", key=b"\xfe", partition=0)
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)

        listed = processes.run("meter", "rejections", "list", "--reason", "wrong_partition", "--pending")
        heading, line = (text.split("\t") for text in listed.stdout.splitlines())
        row = dict(zip(heading, line, strict=True))
        assert (listed.returncode, row["reason"], row["shard"], row["replays"], row["account"]) == (
            0, "wrong_partition", str(wrong), "0", builders.ACCOUNT,
        )  # fmt: skip

        shown = processes.run("meter", "rejections", "show", row["id"])
        assert shown.returncode == 0 and "partitioner=murmur2_random" in shown.stdout
        assert value.decode() in shown.stdout
        raw = processes.run("meter", "rejections", "show", row["id"], "--raw")
        assert raw.stdout.encode() == value

        replay = ("meter", "rejections", "replay", row["id"])  # it waits for the meter, which runs in this loop
        replayed = await asyncio.to_thread(processes.run, *replay, "--by", "support-1")
        shard = partition_for(builders.ACCOUNT.encode(), 3)
        where = f"stored at position 1 of shard {shard}"
        assert (replayed.returncode, replayed.stdout) == (0, f"replayed {row['id']}: {where}\n")
        found = processes.run("meter", "rejections", "list", "--reason", "wrong_partition", "--json")
        last = json.loads(found.stdout)["last_replay"]
        assert (last["outcomes"], last["stored"]) == ({"stored": 1}, [{"shard": shard, "position": 1}])
        replayed = await asyncio.to_thread(processes.run, *replay, "--json")
        assert replayed.returncode == 0
        told = {"replayed": int(row["id"]), "topic": USAGE, "outcomes": {"duplicate": 1}}
        told |= {"rejections": [], "stored": []}
        assert json.loads(replayed.stdout) == told
        await wait_until_stored(pool, meter_settings)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 1
    listed = processes.run("meter", "rejections", "list", "--pending", "--json")
    left = [json.loads(text) for text in listed.stdout.splitlines()]
    assert [entry["reason"] for entry in left] != [] and "wrong_partition" not in {entry["reason"] for entry in left}
    shown = processes.run("meter", "rejections", "show", row["id"], "--json")
    first, second = json.loads(shown.stdout)["replays"]
    assert (first["replayed_by"], first["outcomes"], second["outcomes"]) == (
        "support-1", {"stored": 1}, {"duplicate": 1},
    )  # fmt: skip
    shown = processes.run("meter", "rejections", "show", str(left[0]["id"]))
    assert shown.returncode == 0 and "\x1b" not in shown.stdout and "hex:" in shown.stdout


@pytest.mark.parametrize("key", [None, builders.ACCOUNT.encode()], ids=["nothing", "tombstone"])
async def test_a_record_without_an_event_is_kept_but_no_replay_can_help_it(
    processes: Processes, meter_settings: MeterSettings, pool: Pool, key: bytes | None
) -> None:
    foreign = confluent_kafka.Producer({"bootstrap.servers": meter_settings.kafka_bootstrap})
    foreign.produce(meter_settings.topic(USAGE), value=None, key=key)
    assert foreign.flush(20) == 0
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    row = await pool.fetchrow("SELECT rejection_id, reason, key, value FROM meter.rejections")
    assert row is not None and tuple(row)[1:] == ("empty", key, None)
    done = processes.run("meter", "rejections", "replay", str(row["rejection_id"]))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"a replay cannot help {row['rejection_id']} (empty)" in done.stderr
    assert await pool.fetchval("SELECT count(*) FROM meter.replays") == 0


async def test_a_rejection_that_no_replay_helps_is_dismissed_with_a_reason(
    processes: Processes, meter_settings: MeterSettings, producer: Producer, pool: Pool
) -> None:
    await send(producer, json.dumps(builders.model_inference(credits="-1")).encode())
    await send(producer, b"{")
    async with running_meter(meter_settings):
        await wait_until_stored(pool, meter_settings)
    ids = {row["reason"]: str(row["rejection_id"]) for row in await pool.fetch("SELECT * FROM meter.rejections")}
    bad = ids["invalid_amount"]
    refused = processes.run("meter", "rejections", "replay", bad)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"a replay cannot help {bad}: it would be rejected again, invalid_amount" in refused.stderr
    assert "--force" in refused.stderr and await pool.fetchval("SELECT count(*) FROM meter.replays") == 0
    forced = processes.run("meter", "rejections", "replay", bad, "--force", "--no-wait")
    assert (forced.returncode, forced.stdout) == (0, f"replayed {bad}: on metering.usage\n")
    assert await pool.fetchval("SELECT count(*) FROM meter.replays") == 1

    for reason in ("", " ", "a\tb", "x" * 501):
        assert processes.run("meter", "rejections", "dismiss", bad, "--reason", reason).returncode == 2
    unknown = processes.run("meter", "rejections", "dismiss", bad, "99", "--reason", "sent again")
    assert (unknown.returncode, unknown.stdout) == (1, "") and "there is no rejection 99" in unknown.stderr
    assert "Nothing is dismissed: see" in unknown.stderr and "`meter rejections list`" in unknown.stderr
    done = processes.run("meter", "rejections", "dismiss", bad, "--reason", "sent again", "--by", "support-1")
    assert (done.returncode, done.stdout) == (0, f"dismissed {bad} (invalid_amount): sent again\n")
    again = processes.run("meter", "rejections", "dismiss", *ids.values(), "--reason", "other")
    assert (again.returncode, again.stdout) == (1, "") and "by support-1: sent again" in again.stderr
    assert f"Nothing is dismissed. Repeat it for {ids['not_json']} alone." in again.stderr
    assert await pool.fetchval("SELECT count(*) FROM meter.dismissals") == 1

    listed = [processes.run("meter", "rejections", "list", *more, "--json").stdout for more in ((), ("--all",))]
    shown, everything = ([json.loads(line) for line in text.splitlines()] for text in listed)
    assert [entry["reason"] for entry in shown] == ["not_json"] and "dismissed" not in shown[0]
    assert {entry["reason"]: entry["dismissed"] for entry in everything} == {
        "not_json": None, "invalid_amount": "sent again",
    }  # fmt: skip
    assert "by support-1: sent again" in processes.run("meter", "rejections", "show", bad).stdout


def test_a_rejection_that_is_not_there(processes: Processes, meter_settings: MeterSettings) -> None:
    for command in (["show", "99"], ["replay", "99"]):
        done = processes.run("meter", "rejections", *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no rejection 99" in done.stderr
