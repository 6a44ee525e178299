-- Make a letter due again after a pause. An ambiguous end leaves handed_over_at for the next claim to count; after a clear
-- answer to bytes of which no reply was ever lost nothing of them is kept: else they would be presumed to have arrived.
-- $1 email_id uuid, $2 claim int, $3 pause_s double precision, $4 reason text, $5 attempts to give back int,
-- $6 ambiguous boolean, $7 shard int, $8 whether the bytes of this try are others than those of before boolean
UPDATE notifier.emails SET
    next_attempt_at = now() + make_interval(secs => $3), order_at = now() + make_interval(secs => $3), reason = $4, attempts = attempts - $5,
    handed_over_at = CASE WHEN $6 THEN handed_over_at END,
    lines = CASE WHEN $6 OR ambiguous_attempts > 0 AND NOT ($8 AND handed_over_at IS NOT NULL) THEN lines ELSE '[]' END
WHERE email_id = $1 AND shard = $7 AND claim = $2 AND state = 'queued'
RETURNING email_id
