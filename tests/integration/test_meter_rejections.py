"""Rejections of an account, found by what the list shows: the key of the record, or without one what its event says.
And what the list says of those that were replayed."""

import asyncio
import json
from datetime import datetime

import pytest

from meter.runtime.clock import SystemClock
from meter.runtime.postgres import Pool, load_sql
from meter.store import rejections as module
from meter.store.events import PostgresEventStore
from meter.store.rejections import DismissedError, Rejections
from schemas.records import Outcome
from schemas.topics import USAGE
from tests.contract.rows import plan, rejected, usage
from tests.support.processes import Processes
from tests.support.waiting import until

WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"


def keyless(offset: int, account: str, key: bytes | None = None) -> Outcome:
    return rejected(USAGE, offset, key=key, value=json.dumps({"subject": account}).encode())


@pytest.fixture
async def stored(pool: Pool) -> Pool:
    """Of acc-1: by key, by event without a key and with an empty one, and by the header of binary mode."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    results: list[Outcome] = [
        rejected(USAGE, 0, key=b"acc-1"),
        keyless(1, "acc-1"),
        keyless(2, "acc-2"),
        keyless(3, "acc-1", key=b""),
        rejected(USAGE, 4, key=None, headers=[("ce_subject", b"acc-1")]),
        keyless(5, "acc-1", key=b"acc-2"),
        rejected(USAGE, 6, key=None, value=b"\xff"),
        rejected(USAGE, 7, key=b"acc-2"),
    ]
    await PostgresEventStore(pool).append(plan(*results))
    return pool


async def test_the_filter_finds_what_the_list_shows(stored: Pool, processes: Processes) -> None:
    def listed(*more: str) -> list[tuple[int, str | None]]:
        done = processes.run("meter", "rejections", "list", "--json", *more)
        assert (done.returncode, done.stderr) == (0, "")
        return [(line["offset"], line["account"]) for line in map(json.loads, done.stdout.splitlines())]

    everything = listed()
    assert len(everything) == 8 and everything == sorted(everything, reverse=True)
    for account in "acc-1", "acc-2", "acc-3":
        assert listed("--account", account) == [line for line in everything if line[1] == account]
    assert listed("--account", "acc-1") == [(offset, "acc-1") for offset in (4, 3, 1, 0)]
    assert listed("--account", "acc-1", "--limit", "2") == [(4, "acc-1"), (3, "acc-1")]
    assert listed("--account", "acc-1", "--reason", "invalid_data") == []


async def test_it_says_how_far_it_looked(stored: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKED_AT_ONCE", 1)
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 3)
    found, looked_to = await Rejections(stored).list_without_key("acc-1")
    assert [line.offset for line in found] == [4, 3] and looked_to is not None
    found, looked_to = await Rejections(stored).list_without_key("acc-1", limit=1)
    assert [line.offset for line in found] == [4] and looked_to is None, "as many as were asked for"
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 100)
    found, looked_to = await Rejections(stored).list_without_key("acc-1")
    assert [line.offset for line in found] == [4, 3, 1] and looked_to is None, "all of them were looked at"


REPLAYS = {  # offset of the rejection → where the replay put its records, None: not noted
    0: [(0, 8)],
    1: [(0, 9)],
    2: [(0, 10)],
    3: [(0, 99)],
    4: None,
    5: [(0, 8), (0, 10)],
    6: [(7, 0)],  # a partition that no shard has
}
SAID = {
    0: "stored at position 1 of shard 0",
    1: "rejected again as {again}, not_json: it is no JSON",
    2: "a duplicate: its event is stored already and counts once",
    3: "not judged yet: is `meter run` running?",
    4: "not known, the version that replayed it noted no place",
    5: "1 of its records stored, 1 of its records a duplicate: its event is stored already and counts once",
    6: "not judged yet: is `meter run` running?",
}


@pytest.fixture
async def replayed(stored: Pool) -> Pool:
    """The records of the replays are read: at 8 stored, at 9 rejected, at 10 a duplicate of that at 8."""
    event = usage(8)
    later = plan(event, rejected(USAGE, 9, key=b"acc-1"), event._replace(offset=10), start=(8, 0))
    await PostgresEventStore(stored).append(later)
    rejections = Rejections(stored)
    for line in await rejections.list_rejections():
        if line.offset in REPLAYS:
            places = REPLAYS[line.offset]
            await rejections.append_replay(line.rejection_id, "support-1", SystemClock(), places or [(0, -1)])
    return stored


async def test_the_list_says_what_came_of_a_replay(replayed: Pool, processes: Processes) -> None:
    listed = processes.run("meter", "rejections", "list", "--json").stdout
    lines = {line["offset"]: line for line in map(json.loads, listed.splitlines())}
    heading, *rows = (row.split("\t") for row in processes.run("meter", "rejections", "list").stdout.splitlines())
    texts = {int(row[3]): dict(zip(heading, row, strict=True)) for row in rows}
    for offset, said in SAID.items():
        assert texts[offset]["outcome"] == said.format(again=lines[9]["id"]), offset
        moment = lines[offset]["last_replay"]["replayed_at"]
        assert texts[offset]["replayed_at"] == datetime.fromisoformat(moment).isoformat(timespec="seconds")
    values = {offset: lines[offset]["last_replay"] for offset in (*SAID, 7)}
    assert values[7] is None and texts[7]["outcome"] == texts[7]["replayed_at"] == ""
    assert [values[offset]["outcomes"] for offset in SAID] == [
        {"stored": 1}, {"rejected": 1}, {"duplicate": 1}, {}, None, {"stored": 1, "duplicate": 1}, {},
    ]  # fmt: skip
    assert [values[offset]["records"] for offset in SAID] == [1, 1, 1, 1, None, 2, 1]
    assert (values[0]["stored"], values[1]["rejections"]) == ([{"shard": 0, "position": 1}], [lines[9]["id"]])
    shown = processes.run("meter", "rejections", "show", str(lines[0]["id"]), "--json").stdout
    assert json.loads(shown)["replays"] == [values[0]]


async def test_what_was_pruned_is_not_called_stored(replayed: Pool) -> None:
    """Only the repeat is gone: the event that it repeats is where it was."""
    await replayed.execute("INSERT INTO meter.pruned VALUES (0, 2, 11, 0, now(), 'tests')")
    await replayed.execute("DELETE FROM meter.duplicates")
    found = await Rejections(replayed).list_outcomes(USAGE, [(0, 8), (0, 10)])
    assert [outcome and outcome.outcome for outcome in found] == ["stored", "pruned"]


@pytest.mark.not_on_citus("who waits for a lock is seen on the server that has it")
async def test_of_two_who_dismiss_the_same_one_is_told_who_was_first(stored: Pool) -> None:
    first, second, third = sorted(line.rejection_id for line in await Rejections(stored).list_rejections())[:3]
    clock = SystemClock()
    async with stored.acquire() as connection, connection.transaction():
        await connection.fetch(load_sql("meter", "append_dismissals"), [second], "ticket 1", "ann", clock.now())
        other = asyncio.create_task(Rejections(stored).append_dismissals([first, second], "ticket 2", "ben", clock))
        await until(lambda: other.done() or stored.fetchval(WAITS), message="the other waits")
    with pytest.raises(DismissedError) as error:
        await other
    assert [(d.rejection_id, d.reason, d.dismissed_by) for d in error.value.before] == [(second, "ticket 1", "ann")]
    assert len(await Rejections(stored).fetch_dismissals([first, second])) == 1, "of the other nothing is dismissed"
    await Rejections(stored).append_dismissals([first, third, first], "ticket 2", "ben", clock)
    assert len(await Rejections(stored).fetch_dismissals([first, second, third])) == 3
