-- The attempts to send emails, the newest first.
-- $1 emails uuid[], $2 limit bigint
SELECT email_id, claim, started_at, ended_at, outcome, phase, reply_code, detail
FROM notifier.email_attempts
WHERE email_id = ANY($1::uuid[])
ORDER BY started_at DESC, email_id, claim DESC
LIMIT $2
