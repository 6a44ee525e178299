"""`projections verify` on notices: what the fold and the notifier make of a log is right; all others are listed."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.postgres import Pool
from notifier.decide import Thresholds
from notifier.notify import name_all
from notifier.plan import plan_notices
from notifier.records import read_records
from notifier.store.notices import PostgresNoticeStore
from notifier.store.thresholds import record_thresholds
from projections.rebuild import Model, Rebuild
from projections.verify import Difference, NoticeRules, ShardReport, verify, verify_shard
from schemas.events import CODES
from schemas.topics import BALANCES, partition_for
from tests.integration.projections_histories import random_change
from tests.integration.projections_log import (
    CREDITS,
    RUNS,
    SHARDS,
    Event,
    EventLog,
    closed,
    contacts_changed,
    fold_all,
    granted,
    opened,
    plan_changed,
    reopened,
    reversed_,
    revoked,
    take_batch,
    tool,
    used,
)
from tests.support.damaging import damage_on
from tests.support.processes import Processes
from tests.unit.notifier.builders import AT, RENDERER, record

BANNER, EMAIL = Thresholds().banner, Thresholds().email
SEEDS = 6
RULES = NoticeRules(BANNER, EMAIL)
SETTLED = RULES._replace(settled=True)


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


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_the_services_make_of_a_log_is_what_the_log_says(
    pool: Pool, log: EventLog, notifier: Notifier, seed: int
) -> None:
    """However the fold and the notifier cut it; looked at on the way, with the notifier behind, and at the end."""
    rng = random.Random(seed)
    events = near_the_lines(seed)
    while events:
        count = rng.choice((1, 20, 90, 300))
        await log.append(*take_batch(events, count))
        await fold_all(pool, rng.choice((2, 9, 40, 1000)))
        for shard in range(SHARDS):
            await notifier.read(shard, rng.choice((1, 5, 30)))
        assert await find_differences(pool, RULES) == []
    await notifier.read_all()
    assert await find_differences(pool) == []
    assert await count_waiting(pool) == 0
    assert await pool.fetchval("SELECT count(DISTINCT outcome) FROM notifier.notices") >= 3


@pytest.mark.parametrize("contacts", [5, "ann@example.com", ["ann@example.com"], {}, None], ids=str)
async def test_contacts_are_those_of_events_that_have_them_by_contract(
    pool: Pool, log: EventLog, notifier: Notifier, contacts: object
) -> None:
    """Fields that nobody knows are kept as they were sent, contacts of an account that is closed or forgotten too."""
    said = {"contacts": contacts, "reason": "asked"}
    await log.append(
        *opened("acct-1"),
        replace(closed("acct-1"), data=said),
        replace(reopened("acct-1"), data=said),
        used("acct-1", 40),
    )
    await log.append(
        *opened("acct-2"),
        Event(account_id="acct-2", type=CODES["account.forgotten.v1"], data=said),
        replace(closed("acct-2"), data=said),
        used("acct-2", 40),
    )
    shard = partition_for(b"acct-2", SHARDS)
    forget = "INSERT INTO meter.keys (shard, account_id, made_at, forgotten_at) VALUES ($1, 'acct-2', now(), now())"
    await pool.execute(forget, shard)
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == []
    outcomes = await pool.fetch(
        "SELECT account_id, outcome FROM notifier.notices WHERE channel = 'email' ORDER BY account_id"
    )
    assert [tuple(row) for row in outcomes] == [("acct-1", "delivered"), ("acct-2", "no_contact")]


async def use_up(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    """acct-1 crosses lines one by one, several at once and again after a reversal; a second epoch starts above 20 %."""
    await log.append(*opened("acct-1"), *opened("acct-2", contacts=()))
    for event in (
        used("acct-1", 15), used("acct-2", 40), used("acct-1", 38), reversed_("acct-1", 20), used("acct-1", 30),
        granted("acct-1", 100), used("acct-1", 100), tool("acct-2", 9_500),
    ):  # fmt: skip
        await log.append(event)
        await fold_all(pool)
        await notifier.read_all()


NOTICES = "notifier.notices"
FIRST = "account_id = 'acct-1' AND resource = 'model_credits'"
SEEDED = f"{FIRST} AND epoch = 2 AND outcome = 'seeded' AND channel = 'banner' AND threshold = 20"
TWENTY = f"{FIRST} AND epoch = 1 AND channel = 'banner' AND threshold = 20"
FIFTY = f"{FIRST} AND epoch = 1 AND channel = 'email' AND threshold = 50"
SEVENTY = f"{FIRST} AND epoch = 1 AND channel = 'banner' AND threshold = 70"
EIGHTY = f"{FIRST} AND epoch = 1 AND channel = 'email' AND threshold = 80"
COLUMNS = (
    "notice_id", "account_id", "resource", "epoch", "channel", "threshold", "outcome", "allocation", "consumed",
    "shard", "position", "created_at",
)  # fmt: skip


def copy_of(where: str, **changed: str) -> str:
    """One more notice, like another but for some columns."""
    values = [({"notice_id": "gen_random_uuid()"} | changed).get(name, name) for name in COLUMNS]
    return f"INSERT INTO {NOTICES} SELECT {', '.join(values)} FROM {NOTICES} WHERE {where}"


MISSING, UNEXPECTED, WRONG = "missing", "unexpected", "wrong"


def kind_of(difference: Difference) -> str:
    if difference.stored is None:
        return MISSING
    return UNEXPECTED if difference.log is None else WRONG


DAMAGES = (
    (f"DELETE FROM {NOTICES} WHERE {SEEDED}", [MISSING]),
    (f"DELETE FROM {NOTICES} WHERE {TWENTY}", [MISSING]),
    (f"DELETE FROM {NOTICES} WHERE {SEVENTY}", [MISSING]),
    (copy_of(TWENTY), [UNEXPECTED]),
    (copy_of(TWENTY, resource="'tool_runs'"), [UNEXPECTED]),
    (copy_of(TWENTY, account_id="'acct-2'", threshold="100"), [UNEXPECTED]),
    (copy_of(TWENTY, account_id="'acct-made-up'"), [UNEXPECTED]),
    (copy_of(TWENTY, threshold="21"), [UNEXPECTED]),
    (copy_of(FIFTY, threshold="100"), [UNEXPECTED]),
    (copy_of(TWENTY, epoch="3"), [UNEXPECTED]),
    (f"UPDATE {NOTICES} SET threshold = 30 WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET epoch = 3 WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET resource = 'tool_runs' WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET account_id = 'acct-made-up' WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET shard = (shard + 1) % 3 WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET outcome = 'superseded' WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'seeded' WHERE {SEVENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'delivered' WHERE {SEEDED}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'delivered' WHERE {FIFTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'no_contact' WHERE {EIGHTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'delivered' WHERE outcome = 'no_contact' AND threshold = 90", [WRONG]),
    (f"UPDATE {NOTICES} SET allocation = allocation + 1 WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET consumed = consumed - 1 WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET consumed = consumed + 1 WHERE {SEEDED}", [WRONG]),
    (f"UPDATE {NOTICES} SET position = position + 1 WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET position = position - 1 WHERE {SEEDED}", [WRONG]),
    (f"UPDATE {NOTICES} SET position = 1000000 WHERE {SEVENTY}", [WRONG]),
)


async def test_every_damage_is_told(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    """One by one, each undone after it was looked at."""
    await use_up(pool, log, notifier)
    await pool.execute(f"ALTER TABLE {NOTICES} DROP CONSTRAINT notices_once")
    await pool.execute("ALTER TABLE notifier.emails DROP CONSTRAINT IF EXISTS emails_notice_id_fkey")
    for rules in (RULES, SETTLED):
        assert await find_differences(pool, rules) == []
    wrong = {}
    async with pool.acquire() as connection:
        for damage, kinds in DAMAGES:
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            assert await damage_on(connection, damage) in ("UPDATE 1", "DELETE 1", "INSERT 0 1"), damage
            for rules in (RULES, SETTLED):
                found = [
                    d for shard in range(SHARDS) for d in (await verify_shard(connection, shard, rules)).differences
                ]
                if {d.model for d in found} != {"notices"} or sorted(map(kind_of, found)) != sorted(kinds):
                    wrong[damage] = found
            await transaction.rollback()
    assert wrong == {}


async def test_a_notice_of_the_wrong_run_is_told(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    """A line that was reached, lost by a reversal and reached again: the notice belongs to the first time."""
    await log.append(*opened("acct-1"), used("acct-1", 15), reversed_("acct-1", 15), used("acct-1", 15))
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == []
    last = await pool.fetchval("SELECT max(position) FROM meter.events WHERE account_id = 'acct-1'")
    assert await pool.execute(f"UPDATE {NOTICES} SET position = $1", last) == "UPDATE 1"
    assert [kind_of(difference) for difference in await find_differences(pool)] == [WRONG]


async def test_a_line_that_a_reversal_took_back_still_was_reached(
    pool: Pool, log: EventLog, notifier: Notifier
) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 15), reversed_("acct-1", 15), used("acct-1", 1))
    await fold_all(pool)
    await notifier.read_all()
    assert await pool.execute(f"DELETE FROM {NOTICES}") == "DELETE 1"
    for rules in (RULES, SETTLED):
        assert [kind_of(difference) for difference in await find_differences(pool, rules)] == [MISSING]


async def cross(pool: Pool, log: EventLog, *names: str) -> None:
    """20 % of each account's credits are gone at once; folded, and not yet read by the notifier."""
    await log.append(*(used(name, 15) for name in names))
    await fold_all(pool)


async def lose(pool: Pool, account_id: str) -> None:
    """As if what waits for the notifier had been published, and never came."""
    assert await pool.execute("DELETE FROM projections.outbox WHERE key = $1", account_id) != "DELETE 0"


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


async def test_what_the_notifier_has_not_read_yet_is_on_its_way(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    await cross(pool, log, *pair)
    assert await find_differences(pool, RULES) == []
    assert await count_waiting(pool) == 2
    assert [kind_of(difference) for difference in await find_differences(pool, SETTLED)] == [MISSING, MISSING]
    await notifier.read_all()
    assert await find_differences(pool, SETTLED) == []
    assert await count_waiting(pool) == 0


async def test_a_notifier_that_never_read_anything_misses_nothing_yet(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"))
    await cross(pool, log, "acct-1")
    assert await find_differences(pool, RULES) == []
    assert await count_waiting(pool) == 1


async def test_a_lost_message_is_told_once_the_notifier_has_read_a_later_one_of_anybody(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    first, second = pair
    await cross(pool, log, first)
    await lose(pool, first)
    assert await find_differences(pool, RULES) == [] and await count_waiting(pool) == 1
    assert len(await find_differences(pool, SETTLED)) == 1
    await log.append(plan_changed(second, "team"))
    await fold_all(pool)
    await notifier.read_all()
    [difference] = await find_differences(pool, RULES)
    assert (difference.account_id, difference.what, difference.stored) == (
        first,
        "model_credits epoch 1 banner 20 %",
        None,
    )
    assert await count_waiting(pool) == 0


async def test_of_a_busy_account_what_came_after_its_last_read_change_is_on_its_way(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    """Its change is folded later than another's that was read: where the fold cut is not known to the log."""
    first, second = pair
    await log.append(used(first, 15), used(second, 15), used(first, 0.1))
    await fold_all(pool)
    await notifier.read(partition_for(first.encode(), SHARDS), 1)
    assert await pool.fetchval("SELECT account_id FROM notifier.notices") == second
    assert await find_differences(pool, RULES) == [] and await count_waiting(pool) == 1
    await lose(pool, first)
    await log.append(reversed_(first, 10), used(first, 0.1))
    await fold_all(pool)
    await notifier.read_all()
    [difference] = await find_differences(pool, RULES)
    assert difference.account_id == first and kind_of(difference) == MISSING


async def test_thresholds_count_from_the_position_at_which_they_changed(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    """In the epoch in which they change lines of both may have notices; from the next epoch on exactly the new ones."""
    first, second = pair
    await cross(pool, log, first)
    await notifier.read_all()
    before = await pool.fetchval("SELECT count(*) FROM notifier.emails")
    await notifier.start(Thresholds((10, 50), (30, 90)))
    assert await find_differences(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM notifier.emails") == before, "a change alone sends nothing"
    await log.append(used(first, 10))
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == []
    await log.append(granted(first, 100), granted(second, 25), used(second, 50), used(first, 150))
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == [] and await count_waiting(pool) == 0
    await pool.execute("UPDATE notifier.thresholds SET banner = '{20, 50}', email = '{90}' WHERE position > 1")
    assert {kind_of(difference) for difference in await find_differences(pool)} == {MISSING, UNEXPECTED, WRONG}


async def test_thresholds_that_never_counted_leave_no_record(pool: Pool, notifier: Notifier) -> None:
    """Started with a wrong setting, and started again with the right one before anything was read."""
    await notifier.start(Thresholds((10,), (30,)))
    await notifier.start(Thresholds())
    rows = await pool.fetch("SELECT shard, position, email FROM notifier.thresholds ORDER BY shard")
    assert [tuple(row) for row in rows] == [(shard, 1, list(EMAIL)) for shard in range(SHARDS)]


async def test_what_was_noticed_before_the_record_began_is_left_out(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    """A database of before: the thresholds that its notices were made by are not known."""
    first, _second = pair
    await cross(pool, log, first)
    await notifier.read_all()
    await pool.execute("DELETE FROM notifier.thresholds")
    await notifier.start(Thresholds((10, 50), (15, 90)))
    assert await find_differences(pool) == []
    await log.append(granted(first, 100), used(first, 150))
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == []
    assert await pool.execute("DELETE FROM notifier.notices WHERE epoch = 2 AND channel = 'banner'") != "DELETE 0"
    assert {kind_of(difference) for difference in await find_differences(pool)} == {MISSING}


async def test_after_a_repaired_balance_wrong_and_missing_notices_stay_told(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    """A rebuild publishes nothing, so the lines that a wrong balance hid or reached are still not as they must be."""
    first, second = pair
    await pool.execute(
        "UPDATE projections.balance_states SET consumed = 60000000 WHERE account_id = $1 AND resource = 1", first
    )
    await pool.execute(
        "UPDATE projections.balance_states SET consumed = -60000000 WHERE account_id = $1 AND resource = 1", second
    )
    await cross(pool, log, first, second)
    await notifier.read_all()
    await Rebuild(pool, list(Model), progress=lambda _events: None).run()
    differences = await find_differences(pool)
    found = {(d.model, d.account_id, kind_of(d)) for d in differences if d.model == "notices"}
    assert found == {("notices", first, UNEXPECTED), ("notices", first, WRONG), ("notices", second, MISSING)}
    reached = {d.account_id for d in differences if d.what == "model_credits line reached"}
    assert reached == {first}, "second is below the lowest line of emails by both"


async def test_the_command_compares_notices_as_support_and_says_so_where_it_may_not(
    pool: Pool,
    log: EventLog,
    notifier: Notifier,
    pair: tuple[str, str],
    processes: Processes,
    stack: Addresses,
    dsn: str,
) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
    database = dsn.rpartition("/")[2]
    support = {"postgres_dsn": stack.dsn(database, "credit_support")}
    await cross(pool, log, *pair)
    done = processes.run("projections", "verify", **support)
    assert (done.returncode, done.stdout) == (0, "") and "2 notices still on the way" in done.stderr
    await notifier.read_all()
    await pool.execute("DELETE FROM notifier.notices WHERE account_id = $1", pair[0])
    done = processes.run("projections", "verify", "--settled", **support)
    assert done.returncode == 1 and "projections explain" in done.stderr
    assert done.stdout.split("\t")[1:4] == ["notices", pair[0], "model_credits epoch 1 banner 20 %"]
    same = processes.run("projections", "verify", banner_thresholds="50", email_thresholds="none", **support)
    assert same.stdout == done.stdout, "the thresholds that the notifier recorded are not taken"
    done = processes.run("projections", "verify", postgres_dsn=stack.dsn(database, "credit_projections"))
    assert done.returncode == 0 and done.stdout == ""
    assert "notices are NOT compared" in done.stderr and "credit_support" in done.stderr
    await pool.execute("DROP SCHEMA notifier CASCADE")
    done = processes.run("projections", "verify")
    assert done.returncode == 0 and "notices are NOT compared" in done.stderr and "meter setup" in done.stderr
