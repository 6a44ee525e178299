"""Rejections of an account, found by what the list shows: the key of the record, or without one what its event says."""

import json

import pytest

from meter.runtime.postgres import Pool, load_sql
from meter.store import rejections as module
from meter.store.events import PostgresEventStore
from meter.store.rejections import Rejections
from schemas.records import Outcome
from schemas.topics import USAGE
from tests.contract.rows import plan, rejected
from tests.support.processes import Processes


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
