-- Lock shards that have messages to publish and that no other relay is at.
-- $1 most shards bigint, $2 the one shard to lock int or null (any)
SELECT s.shard FROM projections.outbox_shards s
WHERE EXISTS (SELECT FROM projections.outbox o WHERE o.shard = s.shard /*citus AND o.shard = $2 */)
  AND ($2::int IS NULL OR s.shard = $2) /*citus AND s.shard = $2 */
ORDER BY random()
LIMIT $1
FOR UPDATE OF s SKIP LOCKED;
