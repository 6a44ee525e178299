-- One row per shard; those that are there stay as they are.
-- $1 shards int
INSERT INTO meter.shards (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT (shard) DO NOTHING
