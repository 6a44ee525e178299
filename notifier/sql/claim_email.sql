-- Take the email that is due first, together with all that the check before sending needs.
-- A mail that an earlier claim handed over without learning its end is an ambiguous attempt: count it here.
-- $1 claim_s double precision
WITH due AS (
    SELECT email_id FROM notifier.emails
    WHERE state = 'queued' AND next_attempt_at <= now()
    ORDER BY next_attempt_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE notifier.emails e SET
        claim = e.claim + 1,
        attempts = e.attempts + 1,
        next_attempt_at = now() + make_interval(secs => $1),
        ambiguous_attempts = e.ambiguous_attempts + (e.handed_over_at IS NOT NULL)::int,
        handed_over_at = NULL
    FROM due
    WHERE e.email_id = due.email_id
    RETURNING e.email_id, e.notice_id, e.recipient, e.message, e.claim, e.attempts, e.created_at
), attempt AS (
    INSERT INTO notifier.email_attempts (email_id, claim, started_at)
    SELECT email_id, claim, now() FROM claimed
)
SELECT c.email_id, c.notice_id, c.recipient, c.message, c.claim, c.attempts, c.created_at,
       n.account_id, n.resource, n.threshold, n.epoch, n.allocation, n.consumed, n.shard, n.position,
       b.epoch AS now_epoch, b.allocation AS now_allocation, b.consumed AS now_consumed, b.position AS now_position,
       coalesce(a.contacts ? c.recipient, false) AS is_contact
FROM claimed c
JOIN notifier.notices n USING (notice_id)
LEFT JOIN notifier.balances b ON b.account_id = n.account_id AND b.resource = n.resource
LEFT JOIN notifier.accounts a ON a.account_id = n.account_id
