-- One cursor per shard for each projection.
-- $1 shards int
INSERT INTO projections.cursors (projection, shard) 
SELECT projection, shard
FROM unnest(ARRAY['balance', 'usage']) AS p (projection), generate_series(0, $1::int - 1) AS s (shard)
ON CONFLICT (projection, shard) DO NOTHING
