-- Whether the balances have all that is stored.
SELECT NOT EXISTS (
    SELECT FROM projections.cursors c JOIN meter.shards s USING (shard)
    WHERE c.projection = 'balance' AND c.position < s.next_position - 1)
