-- Take the bytes of letters that ended long ago; what they told stays. Those that have not ended have no finished_at.
-- $1 keep_s double precision, $2 most bigint, $3 the one shard int or null (any)
WITH old AS (
    SELECT email_id FROM notifier.emails
    WHERE message IS NOT NULL AND finished_at < now() - make_interval(secs => $1)
      AND ($3::int IS NULL OR shard = $3) /*citus AND shard = $3 */
    ORDER BY finished_at
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED  -- a request of support that is not committed yet holds the key, and no letter back
), dropped AS (
    UPDATE notifier.emails e SET message = NULL FROM old WHERE e.email_id = old.email_id /*citus AND e.shard = $3 */ RETURNING e.email_id
)
SELECT count(*) FROM dropped
