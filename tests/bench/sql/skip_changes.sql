-- Let the notifier go on here: the changes of runs before, on other copies of the database, are no business of this one.
-- $1 text: topic, $2 int: shard, $3 bigint: offset
UPDATE notifier.cursors SET next_offset = $3 WHERE topic = $1 AND shard = $2
