-- The next messages of these shards, each shard's in the order they were written.
-- $1 shards int[], $2 most of each bigint
SELECT o.shard, o.id, o.key, o.value
FROM unnest($1::int[]) AS s (shard)
CROSS JOIN LATERAL (SELECT * FROM notifier.outbox l WHERE l.shard = s.shard /*citus AND l.shard = $1[1] */ ORDER BY l.id LIMIT $2) AS o;
