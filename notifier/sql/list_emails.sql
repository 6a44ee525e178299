-- Emails in a state, newest first.
-- $1 state text, $2 limit bigint
SELECT e.created_at, e.email_id, n.account_id, n.resource, n.threshold, e.recipient, e.state, e.attempts,
       e.ambiguous_attempts, e.next_attempt_at, e.finished_at, e.reason
FROM notifier.emails e
JOIN notifier.notices n USING (notice_id)
WHERE e.state = $1
ORDER BY e.created_at DESC, e.email_id
LIMIT $2
