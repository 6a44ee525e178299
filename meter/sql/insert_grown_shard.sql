-- The cursor of a partition that no shard has, because a topic was grown; its log stays without events.
-- $1 shard int
INSERT INTO meter.shards (shard) VALUES ($1) ON CONFLICT (shard) DO NOTHING
