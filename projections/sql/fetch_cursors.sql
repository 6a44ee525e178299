-- The shards, and how far each is folded.
-- $1 projection text
SELECT shard, position FROM projections.cursors WHERE projection = $1 ORDER BY shard
