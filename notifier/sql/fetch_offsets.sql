-- The next offset to read per topic and shard.
-- $1 topics text[], $2 shards int[]
SELECT topic, shard, next_offset FROM notifier.cursors WHERE topic = ANY($1) AND shard = ANY($2)
