-- The request that waits longest, locked until it is answered.
-- $1 the one shard int or null (any)
SELECT shard, request_id, email_id, requested_by
FROM notifier.retry_requests
WHERE outcome IS NULL AND ($1::int IS NULL OR shard = $1) /*citus AND shard = $1 */
ORDER BY requested_at
LIMIT 1
FOR UPDATE SKIP LOCKED
