"""A notifier beside the log, fed from the outbox of the projections, and what `verify` says of its notices."""

import random
from collections.abc import Sequence

import pytest

from meter.runtime.postgres import Pool
from notifier.decide import Thresholds
from notifier.notify import name_all
from notifier.plan import plan_notices
from notifier.records import read_records
from notifier.store.notices import PostgresNoticeStore
from notifier.store.thresholds import record_thresholds
from projections.verify import Difference, NoticeRules, ShardReport, verify
from schemas.topics import BALANCES, partition_for
from tests.integration.projections_histories import random_change
from tests.integration.projections_log import (
    CREDITS,
    RUNS,
    SHARDS,
    Event,
    EventLog,
    contacts_changed,
    fold_all,
    granted,
    opened,
    reversed_,
    revoked,
    tool,
    used,
)
from tests.unit.notifier.builders import AT, RENDERER, record

RULES = NoticeRules(Thresholds().banner, Thresholds().email)
SETTLED = RULES._replace(settled=True)
MISSING, UNEXPECTED, WRONG = "missing", "unexpected", "wrong"


class Notifier:
    """The real decisions on the real store, fed from the projections' outbox instead of from Kafka."""

    def __init__(self, pool: Pool, thresholds: Thresholds | None = None) -> None:
        self._pool = pool
        self._store = PostgresNoticeStore(pool)
        self.thresholds = thresholds or Thresholds()

    async def set_up(self) -> None:
        await self._pool.execute(
            "INSERT INTO notifier.cursors (topic, shard) SELECT $1, generate_series(0, $2::int - 1)", BALANCES, SHARDS
        )
        await self.start(self.thresholds)

    async def start(self, thresholds: Thresholds) -> None:
        """As `notifier run` does with these settings."""
        self.thresholds = thresholds
        await record_thresholds(self._pool, thresholds)

    async def read(self, shard: int, most: int) -> int:
        """Take the next messages of a shard, up to `most` of them."""
        rows = await self._pool.fetch(
            "DELETE FROM projections.outbox WHERE shard = $1 AND id IN "
            "(SELECT id FROM projections.outbox WHERE shard = $1 ORDER BY id LIMIT $2) RETURNING id, key, value",
            shard, most,
        )  # fmt: skip
        if rows:
            await self._take(shard, [row["value"] for row in sorted(rows, key=lambda row: int(row["id"]))])
        return len(rows)

    async def _take(self, shard: int, values: Sequence[bytes]) -> None:
        [changes] = await name_all([read_records(record(value) for value in values)], self._store, [shard])
        known = await self._store.fetch_known({change.account_id for change in changes}, [shard])  # type: ignore[union-attr]
        offsets = await self._store.fetch_offsets([BALANCES], [shard])
        start = offsets[BALANCES, shard]
        made = plan_notices(
            changes, known, self.thresholds, RENDERER,
            topic=BALANCES, shard=shard, start=start, end=start + len(values), at=AT,
        )  # fmt: skip
        await self._store.save(made)

    async def read_all(self, most: int = 7) -> None:
        for shard in range(SHARDS):
            while await self.read(shard, most):
                pass


@pytest.fixture
async def notifier(pool: Pool) -> Notifier:
    made = Notifier(pool)
    await made.set_up()
    return made


def two_of_a_shard() -> tuple[str, str]:
    first, *others = (f"acct-{number}" for number in range(10))
    return first, next(
        name for name in others if partition_for(name.encode(), SHARDS) == partition_for(b"acct-0", SHARDS)
    )


@pytest.fixture
async def pair(pool: Pool, log: EventLog, notifier: Notifier) -> tuple[str, str]:
    """Two accounts of one shard, opened and known to the notifier."""
    names = two_of_a_shard()
    for name in names:
        await log.append(*opened(name))
    await fold_all(pool)
    await notifier.read_all()
    return names


def near_the_lines(seed: int, accounts: int = 6, length: int = 450) -> list[Event]:
    """Small grants and usage in whole credits, so that lines are hit exactly, passed several at once, lost again by
    reversals and reached anew; accounts that open late or never, and contacts that come and go. Most open at once,
    without free allowance."""
    rng = random.Random(seed)
    names = [f"acct-{number}" for number in range(accounts)]
    events = [opened(name)[0] for name in names[: accounts * 2 // 3]]
    for _ in range(length):
        name = rng.choice(names)
        resource = rng.choice((CREDITS, RUNS))
        match rng.randrange(24):
            case 0:
                events += opened(name, contacts=rng.choice(((), ("owner@example.com",))))
            case 1 | 2:
                events.append(granted(name, rng.choice((1, 3, 10, 10, 25, 100)), resource))
            case 3 | 4:
                events.append(reversed_(name, rng.choice((1, 2, 5, 40)), resource))
            case 12:
                events.append(revoked(name, rng.choice((1, 3, 10, 100)), resource))
            case 5:
                events.append(contacts_changed(name, *rng.choice(((), ("owner@example.com", "ann@example.com")))))
            case 6:
                events.append(random_change(rng, name))
            case 7 | 8 | 9 | 10 | 11:
                events.append(tool(name, rng.choice((0, 1, 1, 2, 5, 1000))))
            case _:
                events.append(used(name, rng.choice((0, 0.5, 1, 1, 2, 3, 20))))
    return events


async def check(pool: Pool, rules: NoticeRules = SETTLED) -> list[ShardReport]:
    return [report async for report in verify(pool, rules)]


async def find_differences(pool: Pool, rules: NoticeRules = SETTLED) -> list[Difference]:
    return [difference for report in await check(pool, rules) for difference in report.differences]


async def count_waiting(pool: Pool, rules: NoticeRules = RULES) -> int:
    return sum(report.waiting or 0 for report in await check(pool, rules))


def kind_of(difference: Difference) -> str:
    if difference.stored is None:
        return MISSING
    return UNEXPECTED if difference.log is None else WRONG


async def cross(pool: Pool, log: EventLog, *names: str) -> None:
    """20 % of each account's credits are gone at once; folded, and not yet read by the notifier."""
    await log.append(*(used(name, 15) for name in names))
    await fold_all(pool)


async def lose(pool: Pool, account_id: str) -> None:
    """As if what waits for the notifier had been published, and never came."""
    assert await pool.execute("DELETE FROM projections.outbox WHERE key = $1", account_id) != "DELETE 0"
