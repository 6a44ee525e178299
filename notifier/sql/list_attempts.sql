-- The tries of a letter, in order.
-- $1 email_id uuid
SELECT claim, started_at, ended_at, outcome, phase, reply_code, detail
FROM notifier.email_attempts
WHERE email_id = $1
ORDER BY claim
