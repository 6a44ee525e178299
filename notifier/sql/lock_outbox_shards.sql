-- Lock shards that have messages to publish and that no other relay has locked.
-- $1 most shards bigint
SELECT s.shard FROM notifier.outbox_shards s
WHERE EXISTS (SELECT FROM notifier.outbox o WHERE o.shard = s.shard)
ORDER BY random()
LIMIT $1
FOR UPDATE OF s SKIP LOCKED;
