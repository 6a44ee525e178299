-- The row that a publisher locks to send on what was found in a partition that no shard has.
-- $1 shard int
INSERT INTO meter.outbox_shards (shard) VALUES ($1) ON CONFLICT (shard) DO NOTHING
