-- As advance_cursor, for several shards. One that another notifier has locked is passed over: the others need not wait.
-- $1 topic text, $2 shards int[], $3 expected next_offset bigint[], $4 new next_offset bigint[]
WITH free AS MATERIALIZED (
    SELECT shard FROM notifier.cursors WHERE topic = $1 AND shard = ANY ($2) FOR UPDATE SKIP LOCKED
)
UPDATE notifier.cursors c SET next_offset = m.following
FROM unnest($2::int[], $3::bigint[], $4::bigint[]) AS m (shard, expected, following)
JOIN free USING (shard)
WHERE c.topic = $1 AND c.shard = m.shard AND c.next_offset = m.expected
RETURNING c.shard
