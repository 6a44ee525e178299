-- How far each shard is folded, and where its log ends.
-- $1 projection text
SELECT c.shard, c.position, s.next_position - 1 AS head
FROM projections.cursors c
JOIN meter.shards s ON s.shard = c.shard
WHERE c.projection = $1
ORDER BY c.shard
