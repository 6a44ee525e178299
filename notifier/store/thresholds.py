"""The record of thresholds: from which position of each shard which ones count."""

from meter.runtime.postgres import Pool, load_sql
from notifier.decide import Thresholds
from schemas.topics import BALANCES

PACKAGE = "notifier"


async def record_thresholds(pool: Pool, thresholds: Thresholds) -> int:
    """Call it when a notifier starts. Returns the number of shards for which these thresholds are new.

    Nothing else follows from a change: lines and letters are worked out anew with the next change of each balance.
    """
    sql = load_sql(PACKAGE, "record_thresholds")
    return len(await pool.fetch(sql, BALANCES, list(thresholds.banner), list(thresholds.email)))
