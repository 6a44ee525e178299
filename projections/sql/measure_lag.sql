-- Shards, events not yet folded, and events folded so far; of shards that are set aside nothing waits.
-- $1 projection text, $2 shards set aside int[]
SELECT count(*) AS shards,
       coalesce(sum(s.next_position - 1 - c.position) FILTER (WHERE c.shard <> ALL($2::int[])), 0)::bigint AS behind,
       coalesce(sum(c.position), 0)::bigint AS folded
FROM projections.cursors c
JOIN meter.shards s ON s.shard = c.shard
WHERE c.projection = $1
