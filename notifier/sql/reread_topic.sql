-- Read a topic from these offsets on.
-- $1 topic text, $2 topic_id text, $3 shards int[], $4 offsets bigint[]
UPDATE notifier.cursors c SET topic_id = $2, next_offset = new.next_offset
FROM unnest($3::int[], $4::bigint[]) AS new (shard, next_offset)
WHERE c.topic = $1 AND c.shard = new.shard
RETURNING c.shard
