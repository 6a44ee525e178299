-- Take the letter that is first in order among those that are due. A mail that an earlier claim handed over without learning its end is an ambiguous
-- attempt: count it here.
-- $1 claim_s double precision
WITH due AS (
    SELECT email_id, next_attempt_at FROM notifier.emails
    WHERE state = 'queued' AND next_attempt_at <= now()
    ORDER BY order_at
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED  -- a request of support that is not committed yet holds the key, and no letter back
), claimed AS (
    UPDATE notifier.emails e SET
        claim = e.claim + 1,
        attempts = e.attempts + 1,
        next_attempt_at = now() + make_interval(secs => $1),
        ambiguous_attempts = e.ambiguous_attempts + (e.handed_over_at IS NOT NULL)::int,
        handed_over_at = NULL
    FROM due
    WHERE e.email_id = due.email_id
    RETURNING e.*, extract(epoch FROM now() - due.next_attempt_at)::double precision AS overdue_s
), attempt AS (
    INSERT INTO notifier.email_attempts (email_id, claim, started_at)
    SELECT email_id, claim, now() FROM claimed
)
SELECT e.email_id, e.shard, e.account_id, e.recipient, e.claim, e.attempts, e.ambiguous_attempts, e.message_id,
       e.message, e.lines, e.notice_id, e.created_at, e.generation, e.overdue_s, c.contact_id
FROM claimed e
JOIN notifier.contacts c ON c.shard = e.shard AND c.account_id = e.account_id AND c.contact = e.recipient
