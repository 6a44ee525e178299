-- One row per shard for whoever rebuilds the projections to lock.
-- $1 shards int
INSERT INTO projections.rebuild_shards (shard) SELECT generate_series(0, $1::int - 1)
ON CONFLICT (shard) DO NOTHING
