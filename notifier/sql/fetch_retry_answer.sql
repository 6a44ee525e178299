-- What came of a request; null while nothing did.
-- $1 shard int, $2 request_id uuid
SELECT outcome FROM notifier.retry_requests WHERE shard = $1 AND request_id = $2
