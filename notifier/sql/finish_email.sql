-- End a letter. "accepted" is recorded whoever holds the claim now; any other end only by the latest claim. The time is
-- read under the lock of the account, so that it tells whether somebody became a contact before or after. Of a letter that has
-- ended next_attempt_at says when what is owed still is due.
-- $1 email_id uuid, $2 claim int, $3 state text, $4 reason text, $5 ambiguous int, $6 shard int, $7 pause_s double precision
UPDATE notifier.emails SET
    state = $3, reason = $4, ambiguous_attempts = ambiguous_attempts + $5, finished_at = statement_timestamp(),
    handed_over_at = NULL, next_attempt_at = now() + make_interval(secs => $7)
WHERE email_id = $1 AND shard = $6 AND state = 'queued' AND (claim = $2 OR $3 = 'accepted')
RETURNING email_id
