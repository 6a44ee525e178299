"""`projections verify` on notices by the thresholds of their time: which counted, from which position on."""

from meter.runtime.postgres import Pool
from notifier.decide import Thresholds
from tests.integration.projections_log import SHARDS, EventLog, fold_all, granted, used
from tests.integration.projections_notices import (
    MISSING,
    UNEXPECTED,
    WRONG,
    Notifier,
    count_waiting,
    cross,
    find_differences,
    kind_of,
    notifier,
    pair,
)

__all__ = ["notifier", "pair"]  # fixtures


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
    assert [tuple(row) for row in rows] == [(shard, 1, list(Thresholds().email)) for shard in range(SHARDS)]


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
