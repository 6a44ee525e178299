-- The fence: first statement of every batch. No row: another notifier has this shard, or its lock, which is not waited
-- for, so the other shards of a transaction are not held up.
-- $1 topic text, $2 shard int, $3 expected next_offset bigint, $4 new next_offset bigint
UPDATE notifier.cursors SET next_offset = $4
WHERE topic = $1 AND next_offset = $3 /*citus AND shard = $2 */
  AND shard = (SELECT shard FROM notifier.cursors WHERE topic = $1 AND shard = $2 FOR UPDATE SKIP LOCKED)
RETURNING shard
