-- How far the log of shards goes.
-- $1 shards int[]
SELECT shard, generation, next_position - 1 AS position FROM meter.shards WHERE shard = ANY($1)
