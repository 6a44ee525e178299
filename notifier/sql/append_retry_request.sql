-- Ask that a letter is tried again. Returns its shard; no row: there is no such letter.
-- $1 request_id uuid, $2 email_id uuid, $3 requested by text
INSERT INTO notifier.retry_requests AS q (shard, request_id, email_id, requested_by)
SELECT shard, $1, email_id, $3
FROM notifier.emails
WHERE email_id = $2
RETURNING q.shard
