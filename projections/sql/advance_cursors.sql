-- Move the cursors that this transaction holds.
-- $1 projection text, $2 shards int[], $3 positions bigint[]
UPDATE projections.cursors c
SET position = n.position
FROM unnest($2::int[], $3::bigint[]) AS n (shard, position)
WHERE c.projection = $1 AND c.shard = n.shard /*citus AND c.shard = $2[1] */
