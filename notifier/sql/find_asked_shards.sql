-- The shards with requests that wait, in the order of their first ones.
SELECT shard FROM notifier.retry_requests WHERE outcome IS NULL GROUP BY shard ORDER BY min(requested_at)
