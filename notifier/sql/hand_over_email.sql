-- Before the final dot: from here on the mail may be accepted. No row: a later claim has taken over.
-- $1 email_id uuid, $2 claim int, $3 claim_s double precision
UPDATE notifier.emails SET handed_over_at = now(), next_attempt_at = now() + make_interval(secs => $3)
WHERE email_id = $1 AND claim = $2 AND state = 'queued'
RETURNING email_id
