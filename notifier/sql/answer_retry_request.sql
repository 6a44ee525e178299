-- Say what came of a request.
-- $1 shard int, $2 request_id uuid, $3 outcome text, $4 answered_at timestamptz
UPDATE notifier.retry_requests SET outcome = $3, answered_at = $4 WHERE shard = $1 AND request_id = $2
