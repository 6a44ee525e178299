"""Whether usage that a reversal may name is still on its way, as the broker and the database have it."""

from meter.ingest import UsageEnds
from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.postgres import Pool
from meter.store.held import is_here
from meter.tails import Tails
from schemas.topics import USAGE


class UsageBacklog:
    """Asked outside the transaction of the batch, and only for batches with reversals."""

    def __init__(self, consumer: ShardConsumer, pool: Pool, tails: Tails) -> None:
        self._consumer = consumer
        self._pool = pool
        self._tails = tails

    async def find_ends(self, batch: Batch) -> UsageEnds:
        """The own end is asked last: what was sent on to it before lies below.

        Raises TransientError, also while any partition of usage does not answer: what the reversal names may be in
        it. One that was silent a moment ago is not waited for again.
        """
        ends = await self._consumer.find_all_ends(USAGE)
        is_all_here = await is_here(self._pool, batch.shard, ends, self._tails)
        own = await self._consumer.find_end(USAGE, batch)
        if is_all_here:
            return UsageEnds(own)
        return UsageEnds(own, tuple(ends))
