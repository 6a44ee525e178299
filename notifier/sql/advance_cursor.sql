-- The fence: first statement of every batch. No row: another notifier has this shard, or had it.
-- $1 topic text, $2 shard int, $3 expected next_offset bigint, $4 new next_offset bigint
UPDATE notifier.cursors SET next_offset = $4
WHERE topic = $1 AND shard = $2 AND next_offset = $3
RETURNING shard
