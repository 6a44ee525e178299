-- Of each shard: events folded so far, events stored and not folded yet, and for how many seconds the first of these is stored.
-- $1 projection text
SELECT c.shard, c.position AS folded, s.next_position - 1 - c.position AS behind,
       coalesce(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::double precision AS waits_s
FROM projections.cursors c
JOIN meter.shards s ON s.shard = c.shard
LEFT JOIN meter.events e ON e.shard = c.shard AND e.position = c.position + 1
WHERE c.projection = $1
ORDER BY c.shard
