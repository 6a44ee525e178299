-- The shards of which usage has something to fold.
-- $1 projection text, $2 projection that it follows text
SELECT c.shard
FROM projections.cursors c
JOIN projections.cursors b ON b.projection = $2 AND b.shard = c.shard
WHERE c.projection = $1 AND b.position > c.position
ORDER BY c.shard
