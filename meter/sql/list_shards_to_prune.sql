-- The shards that are set up.
SELECT shard FROM meter.shards ORDER BY shard
