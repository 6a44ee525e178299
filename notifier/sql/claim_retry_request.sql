-- The request that waits longest, locked until it is answered.
SELECT shard, request_id, email_id, requested_by
FROM notifier.retry_requests
WHERE outcome IS NULL
ORDER BY requested_at
LIMIT 1
FOR UPDATE SKIP LOCKED
