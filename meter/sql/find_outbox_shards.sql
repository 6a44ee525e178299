-- The shards with messages to publish.
SELECT DISTINCT shard FROM meter.outbox
