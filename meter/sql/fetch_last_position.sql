-- The last position of a shard's log.
-- $1 shard int
SELECT next_position - 1 FROM meter.shards WHERE shard = $1
