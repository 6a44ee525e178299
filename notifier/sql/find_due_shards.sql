-- The shards with letters that are due, in the order of their first ones.
SELECT shard FROM notifier.emails
WHERE state = 'queued' AND next_attempt_at <= now()
GROUP BY shard
ORDER BY min(order_at)
