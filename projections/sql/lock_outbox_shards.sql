-- Lock shards that have messages to publish and that no other relay is at.
-- $1 most shards bigint
SELECT s.shard FROM projections.outbox_shards s
WHERE EXISTS (SELECT FROM projections.outbox o WHERE o.shard = s.shard)
ORDER BY random()
LIMIT $1
FOR UPDATE OF s SKIP LOCKED;
