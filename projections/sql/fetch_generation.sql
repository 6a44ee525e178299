-- The generation that a shard is in.
-- $1 shard int
SELECT generation FROM meter.shards WHERE shard = $1
