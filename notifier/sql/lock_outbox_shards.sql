-- Lock shards that have messages to publish and that no other relay has locked.
-- $1 the shards to lock int[] or null (any), $2 shards to leave out int[]
SELECT s.shard FROM notifier.outbox_shards s
WHERE EXISTS (SELECT FROM notifier.outbox o WHERE o.shard = s.shard /*citus AND o.shard = ($1::int[])[1] */)
  AND ($1::int[] IS NULL OR s.shard = ANY ($1)) /*citus AND s.shard = ($1::int[])[1] */
  AND s.shard <> ALL ($2::int[])
FOR UPDATE OF s SKIP LOCKED;
