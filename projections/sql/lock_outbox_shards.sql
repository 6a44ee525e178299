-- Lock shards that have messages to publish and that no other relay is at.
-- $1 the shards to lock int[] or null (any), $2 shards to leave out int[]
SELECT s.shard FROM projections.outbox_shards s
WHERE EXISTS (SELECT FROM projections.outbox o WHERE o.shard = s.shard /*citus AND o.shard = ($1::int[])[1] */)
  AND ($1::int[] IS NULL OR s.shard = ANY ($1)) /*citus AND s.shard = ($1::int[])[1] */
  AND s.shard <> ALL ($2::int[])
FOR UPDATE OF s SKIP LOCKED;
