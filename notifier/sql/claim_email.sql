-- Take the letter that is first in order among those that are due. A mail that an earlier claim handed over without learning its end is an ambiguous
-- attempt: count it here.
-- $1 claim_s double precision, $2 the one shard int or null (any)
WITH due AS (
    SELECT email_id, next_attempt_at FROM notifier.emails
    WHERE state = 'queued' AND next_attempt_at <= now() AND ($2::int IS NULL OR shard = $2) /*citus AND shard = $2 */
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
    WHERE e.email_id = due.email_id /*citus AND e.shard = $2 */
    RETURNING e.*, due.next_attempt_at AS was_due
), attempt AS (
    INSERT INTO notifier.email_attempts (email_id, claim, started_at, shard)
    SELECT email_id, claim, now(), shard FROM claimed
)
SELECT e.email_id, e.shard, e.account_id, e.recipient, e.claim, e.attempts, e.ambiguous_attempts, e.message_id,
       e.message, e.lines, e.notice_id, e.created_at, e.generation,
       extract(epoch FROM now() - e.was_due)::double precision AS overdue_s, c.contact_id
FROM claimed e
JOIN notifier.contacts c ON c.shard = e.shard /*citus AND c.shard = $2 */ AND c.account_id = e.account_id AND c.contact = e.recipient
