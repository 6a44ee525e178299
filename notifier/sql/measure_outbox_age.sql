-- For how many seconds the message that is published next has waited, in the shard where that is longest.
SELECT coalesce(max(extract(epoch FROM now() - o.queued_at)), 0)::double precision
FROM notifier.outbox_shards s
CROSS JOIN LATERAL (
    SELECT l.queued_at FROM notifier.outbox l WHERE l.shard = s.shard ORDER BY l.shard, l.id LIMIT 1
) AS o;
