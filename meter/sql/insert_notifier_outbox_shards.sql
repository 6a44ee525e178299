-- One row per shard of the notifier's outbox, for its publisher to lock.
-- $1 shards int
INSERT INTO notifier.outbox_shards (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT (shard) DO NOTHING
