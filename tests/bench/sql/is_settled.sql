-- Whether all that follows from what is stored is done: balances, usage, and what is published.
SELECT NOT EXISTS (SELECT FROM projections.cursors c JOIN meter.shards s USING (shard) WHERE c.position < s.next_position - 1)
       AND NOT EXISTS (SELECT FROM projections.outbox)
