-- Shards, events not yet folded, and events folded so far.
-- $1 projection text
SELECT count(*) AS shards,
       coalesce(sum(s.next_position - 1 - c.position), 0)::bigint AS behind,
       coalesce(sum(c.position), 0)::bigint AS folded
FROM projections.cursors c
JOIN meter.shards s ON s.shard = c.shard
WHERE c.projection = $1
