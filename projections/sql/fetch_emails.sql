-- The emails that came of an account's notices, the newest first.
-- $1 account text, $2 resource text or null, $3 limit bigint
SELECT e.email_id, n.resource, n.epoch, n.threshold, e.recipient, e.state, e.attempts, e.ambiguous_attempts,
       e.created_at, e.finished_at, CASE e.state WHEN 'queued' THEN e.next_attempt_at END AS next_attempt_at, e.reason
FROM notifier.emails e
JOIN notifier.notices n ON n.shard = e.shard AND n.notice_id = e.notice_id
WHERE n.account_id = $1 AND ($2::text IS NULL OR n.resource = $2)
ORDER BY e.created_at DESC, n.position DESC, n.threshold DESC, e.recipient
LIMIT $3
