-- The head of a shard that was chained anew. No row: another writer moved the shard.
-- $1 shard int, $2 head before bytea, $3 head bytea
UPDATE meter.shards SET head = $3 WHERE shard = $1 AND head = $2 RETURNING shard
