-- The next offset of usage to store, of every shard and of partitions that no shard has.
SELECT shard, usage_offset FROM meter.shards
