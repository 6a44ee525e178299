"""`meter usage` on a real log: ids that `meter reverse` takes, what is reversed, and how far it looked."""

import json

import pytest

from meter.runtime.postgres import Pool, load_sql
from meter.settings import MeterSettings
from meter.store.events import PostgresEventStore
from schemas.topics import partition_for
from tests.contract.rows import MOMENT, plan, reversal, usage
from tests.support.processes import Processes

ACCOUNT = "acc-1"
UUID = "019b76da-a800-79ab-aa7b-5bf55eb561a4"


@pytest.fixture
async def shard(pool: Pool, settings: MeterSettings) -> int:
    """Two events of the account, one of another between them, and a reversal."""
    await pool.execute(load_sql("meter", "insert_shards"), settings.partitions)
    number = partition_for(ACCOUNT.encode(), settings.partitions)
    store = PostgresEventStore(pool)
    first, other, last = (
        usage(0, event_id=UUID),
        usage(1, account_id="acc-2"),
        usage(2, event_id="request 2", name="\x1b[31mred"),
    )
    await store.append(plan(first, other, last, reversal(0, 100_000, UUID), shard=number))
    return number


def test_ids_amounts_and_what_is_reversed_are_listed(shard: int, processes: Processes) -> None:
    done = processes.run("meter", "usage", ACCOUNT, "--json")
    newest, oldest = (json.loads(line) for line in done.stdout.splitlines())
    assert (newest["event_id"], newest["reversed"]) == ("request 2", "0")
    assert (oldest["event_id"], oldest["reversed"], oldest["amount"]) == (UUID, "0.1", "0.25")
    assert (oldest["resource"], oldest["kind"]) == ("model_credits", "model_inference")
    stored = MOMENT.strftime("%Y-%m-%d %H:%M:%S UTC")
    looked = f"looked at the newest 4 events of shard {shard}, stored since {stored}"
    assert (done.returncode, done.stderr) == (0, f"{looked}: that is all\n")
    assert "\x1b" not in processes.run("meter", "usage", ACCOUNT).stdout


def test_it_stops_where_it_is_told_to(shard: int, processes: Processes) -> None:
    done = processes.run("meter", "usage", ACCOUNT, "--limit", "1")
    assert done.stdout.count("\n") == 2 and done.stderr.endswith("; for more: --limit\n")
    done = processes.run("meter", "usage", ACCOUNT, "--look-at", "1")
    assert done.stdout.count("\n") == 1 and "newest 1 events" in done.stderr and "--look-at" in done.stderr
    done = processes.run("meter", "usage", ACCOUNT, "--resource", "tool_runs", "--json")
    assert done.stdout == "" and done.stderr.endswith("that is all\n")
    done = processes.run("meter", "usage", ACCOUNT, "--since", "2999-01-01")
    assert done.stdout.count("\n") == 1 and done.stderr.endswith("that is all\n")
    assert processes.run("meter", "usage", ACCOUNT, "--since", "yesterday").returncode == 2
    done = processes.run("meter", "usage", "acc-99")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
