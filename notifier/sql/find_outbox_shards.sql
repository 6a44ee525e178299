-- The shards with messages to publish.
SELECT DISTINCT shard FROM notifier.outbox
