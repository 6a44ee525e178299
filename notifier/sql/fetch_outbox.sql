-- The next messages of a shard, in the order they were written.
-- $1 shard int, $2 limit bigint
SELECT id, key, value FROM notifier.outbox WHERE shard = $1 ORDER BY id LIMIT $2;
