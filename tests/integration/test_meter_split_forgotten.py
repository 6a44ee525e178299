"""`meter split` and `meter recover` with accounts that were forgotten: their keys are in the shard that they are in."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from meter import recover as recovering
from meter import split as splitting
from meter.recover import Outside, recover
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool, load_sql
from meter.settings import MeterSettings
from meter.setup import insert_rows
from meter.split import split
from meter.store.events import PostgresEventStore
from schemas.events import CODES
from schemas.topics import partition_for
from tests.contract.rows import MOMENT, opened, plan

pytestmark = pytest.mark.not_on_citus("`meter split` refuses there")

BEFORE, NOW = 2, 4
FORGOTTEN = CODES["account.forgotten.v1"]
FOLDED = "UPDATE projections.cursors c SET position = s.next_position - 1 FROM meter.shards s WHERE s.shard = c.shard"
KEYS = "SELECT shard, account_id, key IS NULL AS forgotten FROM meter.keys"
KEY = "INSERT INTO meter.keys (shard, account_id, key, made_at) VALUES ($1, $2, $3, $4)"
STRAY = "INSERT INTO meter.keys (shard, account_id, made_at, forgotten_at) VALUES ($1, $2, $3, $3)"


class FixedClock:
    def now(self) -> datetime:
        return MOMENT


def shard_of(account: str, shards: int) -> int:
    return partition_for(account.encode(), shards)


NAMES = [f"acct-{number}" for number in range(40)]
MOVED, STAYED = (
    next(name for name in NAMES if (shard_of(name, NOW) != shard_of(name, BEFORE)) is moves) for moves in (True, False)
)
KNOWN_OUTSIDE = next(name for name in NAMES if name != MOVED and shard_of(name, NOW) != shard_of(name, BEFORE))


@pytest.fixture
async def pool_of_two(pool: Pool) -> Pool:
    async with pool.acquire() as connection:
        await insert_rows(connection, BEFORE)
    return pool


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    """What Kafka knows, without one: nothing runs, and nothing is left to read."""
    known = Outside(forgotten={MOVED, STAYED, KNOWN_OUTSIDE})

    def answer(value: object) -> Callable[..., Awaitable[object]]:
        async def asked(*_: object) -> object:
            return value

        return asked

    for module in (recovering, splitting):
        monkeypatch.setattr(module, "check_stopped", answer(None))
        monkeypatch.setattr(module, "look_outside", answer(known))
        monkeypatch.setattr(module, "reset_groups", answer(None))
    monkeypatch.setattr(splitting, "check_topics", answer(None))
    monkeypatch.setattr(splitting, "check_heard", answer(None))
    monkeypatch.setattr(splitting, "describe_unread", answer([]))
    return known


async def open_accounts(pool: Pool, *, forget: bool) -> None:
    """Two accounts, each in its own shard of two."""
    store = PostgresEventStore(pool)
    for shard in range(BEFORE):
        names = [name for name in (MOVED, STAYED) if shard_of(name, BEFORE) == shard]
        events = [opened(number, account_id=name) for number, name in enumerate(names)]
        if forget:
            events += [
                opened(number, account_id=name, type=FORGOTTEN, name="", data='{"reason":"asked"}')
                for number, name in enumerate(names, start=len(names))
            ]
        if events:
            await store.append(plan(*events, shard=shard))
    await pool.execute(FOLDED)


async def keys_of(pool: Pool) -> set[tuple[int, str, bool]]:
    return {(row[0], row[1], row[2]) for row in await pool.fetch(KEYS)}


def forgotten_in(shards: int) -> set[tuple[int, str, bool]]:
    return {(shard_of(name, shards), name, True) for name in (MOVED, STAYED, KNOWN_OUTSIDE)}


def settings_of(partitions: int) -> MeterSettings:
    return MeterSettings(partitions=partitions)


async def run_split(pool: Pool) -> int:
    begun = await split(settings_of(NOW), pool, FixedClock(), by="tester", reason="more accounts")
    return len(begun)


@pytest.mark.parametrize("forget", [True, False])
async def test_who_was_forgotten_moves_with_the_key_that_was_thrown_away(
    pool_of_two: Pool, outside: Outside, forget: bool
) -> None:
    """Also where the list alone knows of it, because the key is that of a restored backup, or nothing is left."""
    await open_accounts(pool_of_two, forget=forget)
    assert await run_split(pool_of_two) == NOW
    assert await keys_of(pool_of_two) == forgotten_in(NOW)
    places = await pool_of_two.fetch("SELECT DISTINCT shard FROM meter.events WHERE account_id = $1", MOVED)
    assert [row["shard"] for row in places] == [shard_of(MOVED, NOW)]


async def test_keys_that_an_earlier_attempt_left_in_a_new_shard_are_taken_away(
    pool_of_two: Pool, outside: Outside
) -> None:
    """Or in another one that there is; and it does not matter that the list does not have the account any more."""
    await open_accounts(pool_of_two, forget=False)
    outside.forgotten -= {MOVED, STAYED}
    await pool_of_two.execute(STRAY, shard_of(MOVED, NOW), MOVED, MOMENT)
    await pool_of_two.execute(STRAY, 1 - shard_of(STAYED, BEFORE), STAYED, MOMENT)
    assert await run_split(pool_of_two) == NOW
    assert await keys_of(pool_of_two) == forgotten_in(NOW)
    disabled = await pool_of_two.fetch("SELECT tgname FROM pg_trigger WHERE tgenabled = 'D'")
    assert disabled == []


async def test_a_split_that_is_refused_forgets_nobody(pool_of_two: Pool, outside: Outside) -> None:
    await open_accounts(pool_of_two, forget=False)
    astray = next(name for name in NAMES if shard_of(name, BEFORE) == 1)
    await pool_of_two.execute(KEY, 0, astray, bytes(32), MOMENT)
    before = await keys_of(pool_of_two)
    with pytest.raises(RefusalError, match="in another shard than their own: 1 account,"):
        await run_split(pool_of_two)
    assert await keys_of(pool_of_two) == before


@pytest.mark.parametrize("partitions", [BEFORE - 1, NOW])
async def test_a_recovery_under_another_number_of_shards_is_refused(
    pool_of_two: Pool, outside: Outside, partitions: int
) -> None:
    """Under that number the keys would be looked for in another shard, and stay readable in their own."""
    await open_accounts(pool_of_two, forget=False)
    before = await keys_of(pool_of_two)
    with pytest.raises(RefusalError, match=f"there are {BEFORE} shards"):
        await recover(settings_of(partitions), pool_of_two, FixedClock(), by="tester", reason="restored", force=True)
    assert await keys_of(pool_of_two) == before
    assert await recover(settings_of(BEFORE), pool_of_two, FixedClock(), by="tester", reason="restored") == []
    assert await keys_of(pool_of_two) == forgotten_in(BEFORE)


async def test_where_nothing_is_set_up_it_says_so(pool: Pool, outside: Outside) -> None:
    assert await pool.fetchval(load_sql("meter", "count_shards")) == 0
    for partitions in (BEFORE, NOW):
        with pytest.raises(RefusalError, match="meter setup"):
            await recover(settings_of(partitions), pool, FixedClock(), by="tester", reason="restored")
        with pytest.raises(RefusalError, match="meter setup"):
            await split(settings_of(partitions), pool, FixedClock(), by="tester", reason="more accounts")
