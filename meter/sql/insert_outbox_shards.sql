-- One row per shard of the meter's outbox, for its publisher to lock.
-- $1 shards int
INSERT INTO meter.outbox_shards (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT (shard) DO NOTHING
