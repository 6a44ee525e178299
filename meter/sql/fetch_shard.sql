-- The cursor of a shard.
-- $1 shard int
SELECT next_batch - 1 AS batch, next_position - 1 AS position, usage_offset, accounts_offset, head,
       generation
FROM meter.shards WHERE shard = $1
