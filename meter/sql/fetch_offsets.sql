-- The next offsets to read of these shards.
-- $1 shards int[]
SELECT shard, usage_offset, accounts_offset FROM meter.shards WHERE shard = ANY ($1)
