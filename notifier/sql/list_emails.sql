-- Letters in a state, or of an account or a recipient, newest first. Capitals of a recipient do not count.
-- $1 state text or null, $2 account_id text or null, $3 recipient text or null, $4 limit bigint
SELECT e.created_at, e.email_id, e.account_id, e.recipient, e.state, e.lines, e.attempts, e.ambiguous_attempts,
       CASE e.state WHEN 'queued' THEN e.next_attempt_at END AS next_attempt_at, e.finished_at, e.reason
FROM notifier.emails e
WHERE ($1::text IS NULL OR e.state = $1) AND ($2::text IS NULL OR e.account_id = $2)
  AND ($3::text IS NULL OR lower(e.recipient) = lower($3))
ORDER BY e.created_at DESC, e.email_id
LIMIT $4
