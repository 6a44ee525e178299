-- One cursor per partition of the topic that the notifier reads.
-- $1 shards int, $2 topic text
INSERT INTO notifier.cursors (topic, shard) SELECT $2, generate_series(0, $1::int - 1)
ON CONFLICT (topic, shard) DO NOTHING
