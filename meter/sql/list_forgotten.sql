-- The keys that were thrown away: the accounts, and the shards that the rows are in.
SELECT shard, account_id FROM meter.keys WHERE key IS NULL
