-- Shards that are folded to the end of an empty log, so that no page is stale.
-- $1 shards integer
WITH shards AS (
    INSERT INTO meter.shards (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING
)
INSERT INTO projections.cursors (projection, shard)
SELECT p, s FROM unnest(ARRAY['balance', 'usage']) AS p, generate_series(0, $1::int - 1) AS s ON CONFLICT DO NOTHING
