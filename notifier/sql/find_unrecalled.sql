-- The shards whose newest generations were begun and whose letters of before were not read back yet.
SELECT DISTINCT shard FROM notifier.generations WHERE recalled_at IS NULL ORDER BY shard
