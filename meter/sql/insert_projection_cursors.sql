-- One cursor per shard for the balance projection.
-- $1 shards int
INSERT INTO projections.cursors (projection, shard) SELECT 'balance', generate_series(0, $1::int - 1)
ON CONFLICT (projection, shard) DO NOTHING
