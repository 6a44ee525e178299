-- Hold a shard's cursor, so that nobody folds the shard meanwhile.
-- $1 projection text, $2 shard int
SELECT position FROM projections.cursors WHERE projection = $1 AND shard = $2 FOR UPDATE
