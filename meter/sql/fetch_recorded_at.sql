-- When the first event of a shard from a position on was stored.
-- $1 shard int, $2 position bigint
SELECT recorded_at FROM meter.events WHERE shard = $1 AND position >= $2 ORDER BY position LIMIT 1
