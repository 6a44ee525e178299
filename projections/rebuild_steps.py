"""The published states of balances, which a dry run of thresholds looks at, mended from the log.

States that are right stay: they are what the notifier was told. What the log contradicts goes, and epochs that lack
states, as those from before they were kept, get the ones that a fold of one event at a time would have published.
"""

from typing import NamedTuple

from meter.runtime.postgres import Executor
from projections.epoch_columns import epoch_columns
from projections.store import sql
from projections.walk import EpochStep, walk


class Mended(NamedTuple):
    added: int
    removed: int


async def mend_steps(connection: Executor, shard: int, position: int, *, timeout_s: float) -> Mended:
    """Within the transaction that holds the cursor of balances at this position."""
    rows = await connection.fetch(sql("list_epoch_steps"), shard, position, timeout=timeout_s)
    _ends, epochs = walk(EpochStep(*row)._replace(consumed=int(row["consumed"])) for row in rows)
    told = epoch_columns(epochs)
    removed = await connection.fetch(sql("remove_wrong_steps"), shard, position, *told, timeout=timeout_s)
    added = await connection.fetch(sql("add_missing_steps"), shard, position, *told, timeout=timeout_s)
    return Mended(len(added), len(removed))
